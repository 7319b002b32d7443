"""PyTorch networks: one paper, one file, one row in the table."""
