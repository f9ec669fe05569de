"""Trajectory synthesis: pure numerics, in the order of the flow on pipeline.py's page."""

GENERATOR_VERSION = 3
"""Raised whenever the rows made for some request change; datasets begun under another one are never resumed."""
