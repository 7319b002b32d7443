"""OpenVINO + numpy: from frames to masks. Read pipeline.py first."""
