"""What of demonstrations is kinematics, taken out of them for the service to copy.

demonstrations -> what the hand takes and leaves -> segments (proposed, or a person's) -> motions file
"""
