"""Inverse kinematics: one step, many starts, and from one pose to the next along a line."""
