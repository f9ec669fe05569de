"""Mutants: one-line changes of the code, each of which named tests must notice. `make mutants` shows that they do."""
