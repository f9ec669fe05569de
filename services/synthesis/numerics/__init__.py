"""Functions of numbers, rotations and runs of arrays that every processor computes alike."""
