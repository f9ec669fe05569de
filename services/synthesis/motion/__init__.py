"""From waypoints to motions: joint configurations, jerk-limited profiles in time, and their evaluation."""
