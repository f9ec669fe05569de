"""What the columns of a data set mean, and the motion that they are by that."""
