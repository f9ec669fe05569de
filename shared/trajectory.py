"""A timed trajectory, and the check of its samples against joint limits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.robots import JointLimits

FloatArray = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One motion sampled at uniform times: sample k is at k / rate_hz, T = ceil(duration * rate_hz) + 1.

    Samples past `duration` hold the goal at rest.

    Attributes:
        trajectory_id: its global index in the dataset.
        family: the motion family that made it.
        rate_hz: samples per second.
        duration: time until rest at the goal [s].
        q: joint positions [rad or m], shape (T, dof).
        qd: joint velocities [rad/s or m/s], shape (T, dof).
        ee_position: tool centre point in the base frame [m], shape (T, 3).
        ee_rotation_6d: first two rows of T_base_tool's rotation, shape (T, 6).
        gripper: +1 close, -1 open, shape (T,).
        qdd: joint accelerations [rad/s^2 or m/s^2], shape (T, dof), where the dataset holds them.
    """

    trajectory_id: int
    family: str
    rate_hz: float
    duration: float
    q: FloatArray
    qd: FloatArray
    ee_position: FloatArray
    ee_rotation_6d: FloatArray
    gripper: FloatArray
    qdd: FloatArray | None = None

    @property
    def length(self) -> int:
        """Number of samples T."""
        return int(self.q.shape[0])


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
