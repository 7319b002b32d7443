"""The annotated bag: frames, masks, tracks and scores for Foxglove and RViz."""
