"""Counts the samples of trajectories that break a joint limit: the measure the tests of synthesis hold rows to."""

import numpy as np
from numpy.typing import NDArray

from shared.robots import JointLimits

FloatArray = NDArray[np.floating]


def limit_violations(
    limits: JointLimits,
    q: FloatArray,
    qd: FloatArray | None = None,
    qdd: FloatArray | None = None,
    qddd: FloatArray | None = None,
    tolerance: float = 0.0,
) -> dict[str, int]:
    """Counts the samples that break a limit, by quantity.

    Args:
        limits: of the robot, each (dof,).
        q: positions, shape (..., dof); `qd`, `qdd`, `qddd` likewise, where they are known.
        tolerance: relative slack, as a share of the position range and of each other limit.

    Returns:
        {"position": n, ...} with a key for each quantity given. A NaN counts as a violation.
    """
    slack = tolerance * (limits.upper - limits.lower)
    inside = (q >= limits.lower - slack) & (q <= limits.upper + slack)
    violations = {"position": int(inside.size - np.count_nonzero(inside))}
    bounded = (("velocity", qd), ("acceleration", qdd), ("jerk", qddd))
    for name, values in bounded:
        if values is not None:
            within = np.abs(values) <= getattr(limits, name) * (1 + tolerance)
            violations[name] = int(within.size - np.count_nonzero(within))
    return violations
