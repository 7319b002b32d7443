"""Import of foreign networks: hints, input, roles of the outputs, package."""
