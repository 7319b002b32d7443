"""What the benchmarks share: processes, pictures, medians, reports; and the scripts that they start."""
