"""How good masks and tracks are: pure functions on arrays, numpy, scipy and OpenCV only."""
