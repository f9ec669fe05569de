"""What a policy is worth: errors on held-out windows, smoothness, and rollouts."""
