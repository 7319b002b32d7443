"""Training: stages as data, one loop."""
