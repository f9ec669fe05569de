"""A policy in use: observations in, actions out; its export, and its server."""
