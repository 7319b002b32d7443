"""Merged blobs: segments that hold several objects, and which pixels belong to which."""
