"""Reading what others recorded: LeRobot data sets, robomimic's files, and our simulator's."""
