"""The training loop and what it keeps: optimizer, average, checkpoints, metrics, processes that train together."""
