"""Whether the arm meets itself or a keep-out, at every time of a motion and not at its samples alone."""
