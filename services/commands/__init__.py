"""The service's commands, one module each: `add_arguments` and `run`."""
