"""Ground truth of a clip: where it lies, how it is read, which frame it belongs to."""
