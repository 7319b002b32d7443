"""How good masks and tracks are: pure functions on arrays, numpy and scipy only."""
