"""Copies of demonstrations as a policy is trained on them: rows of the service, with observations computed.

motions file + demonstrations -> how the arm follows its commands (lag) -> what the observations are (terms)
rows -> poses that would be observed -> observations -> windows beside those of the demonstrations
"""
