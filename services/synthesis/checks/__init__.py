"""What every row is checked for before it is written."""
