"""Windows of generated trajectories, streamed from a dataset that is finished or still growing."""
