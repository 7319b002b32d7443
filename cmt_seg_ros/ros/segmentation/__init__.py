"""Parts of segmentation_node: publishers and report."""
