"""From masks to objects with stable ids: segments, motion, association, tracks; start at ``tracker.py``."""
