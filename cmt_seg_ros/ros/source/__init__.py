"""Parts of source_node: frames of the clip, its clock, table of what was sent."""
