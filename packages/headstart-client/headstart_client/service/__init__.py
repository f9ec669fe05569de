"""The trajectory service, from Python."""
