"""Whether demonstrations can be what their mapping says, and what is wrong where they can't."""
