"""Scores: counts of each frame, their sums, and the tables made of them."""
