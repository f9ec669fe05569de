"""A mapping file proposed for a data set, by agreement of its commands, what was observed, and the arm's kinematics.

    layout (which components are what) -> readings of them -> those that agree -> answers and questions -> a file

Nothing is guessed: where two readings agree equally well, both are written, commented out, with the reason.
"""
