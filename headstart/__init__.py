"""`headstart`: both programs behind one command, and `doctor`, which says what is installed here."""
