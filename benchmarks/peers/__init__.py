"""Ours beside other libraries of the field: `python -m benchmarks.peers`."""
