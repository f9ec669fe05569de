"""Where chance comes in: what belongs to an id, and what each attempt draws, from counter-based streams."""
