"""The command `cmt-seg`: one parser, one error boundary, a thin file a command."""
