"""The two stages: pretraining on trajectories, and adapting to demonstrations."""
