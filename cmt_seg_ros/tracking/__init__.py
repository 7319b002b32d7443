"""Tracking: from masks to objects with stable ids; start at ``tracker.py``."""
