"""Parts of source_node."""
