"""Inference with OpenVINO and NumPy, from frames to masks; read pipeline.py first."""
