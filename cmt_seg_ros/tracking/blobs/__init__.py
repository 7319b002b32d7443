"""Blobs that hold several objects: which pixels belong to which."""
