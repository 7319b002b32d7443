"""Shared by the nodes: parameters, messages, quality of service, diagnostics, life cycle."""
