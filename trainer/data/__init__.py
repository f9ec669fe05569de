"""What training sees: actions and their normalization, generated trajectories, demonstrations and copies of them."""
