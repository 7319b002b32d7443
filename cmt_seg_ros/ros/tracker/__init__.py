"""Parts of tracker_node."""
