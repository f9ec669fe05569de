"""`make train-decoupled`: its presets, its steps, and its report."""
