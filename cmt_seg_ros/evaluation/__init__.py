"""Replay of every frame, matching by stamp, and the report: how good and how fast."""
