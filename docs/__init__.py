"""The documentation, and the programs that fill its tables."""
