"""Parts that the nodes share: parameters, cameras, messages, quality of service, diagnostics, life cycle."""
