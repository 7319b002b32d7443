"""Metrics of masks and tracks: pure functions on arrays, numpy, scipy and OpenCV only."""
