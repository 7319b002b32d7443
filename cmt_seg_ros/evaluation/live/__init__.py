"""Live evaluation: the nodes play a clip, their recording is read back."""
