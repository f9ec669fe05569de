"""The arm made ready for numerics: its chain as arrays, forward kinematics, and its links as convex hulls."""
