"""Helpers of the benchmarks: processes, measures, command line and results; and the scripts that they start."""
