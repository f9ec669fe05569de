"""Copies of demonstrations: their motions carried to other object poses, by kinematics alone.

    motions file -> sources -> layout (source, object poses, start) -> transforms of segments -> knots of the tool
      -> IK, splines -> profiles as of every other family -> object poses at the samples

What is relative to an object moves rigidly with it; what the hand holds moves with the hand; free segments are blended
from the transform before them to the one after, and their pace is made anew.
"""
