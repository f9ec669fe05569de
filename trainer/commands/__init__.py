"""The trainer's commands, one module each: `run`. Each finishes what an earlier call of it began."""
