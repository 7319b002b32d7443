"""Deployment: from a torch network to a model package that OpenVINO runs."""
