"""How fast trajectories are made: `python -m benchmarks.synthesis`."""
