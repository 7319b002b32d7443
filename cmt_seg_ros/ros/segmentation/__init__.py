"""Parts of segmentation_node."""
