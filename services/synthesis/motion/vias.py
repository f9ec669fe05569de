"""Velocities with which a chain of segments passes its inner waypoints."""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.numerics.elementary import cube_roots
from shared.robots import JointLimits

FloatArray = NDArray[np.float64]


def via_velocities(
    start: FloatArray, target: FloatArray, duration: FloatArray, kept: FloatArray, limits: JointLimits
) -> FloatArray:
    """Joint velocity at the end of each segment, shape (S, dof) [rad/s].

    It points from the waypoint before to the one after, and is the mean velocity between these two times the share
    kept (the finite differences of Catmull and Rom 1974, "A class of local interpolating splines"). A mean velocity is
    below the limit. It is also no greater than one from which the joint can stop before its position limit on either
    side: the one that it moves towards, and, looked at backwards in time, the one that it comes from.

    Args:
        start: of each segment, in the order of their rows, shape (S, dof) [rad].
        target: likewise.
        duration: that each would take from rest to rest [s], shape (S,).
        kept: share kept at the end of each, at most 1, and 0 where the arm stops, as after a row's last, shape (S,).
        limits: the robot's, at full speed.
    """
    velocity = np.zeros_like(start)
    passed = np.flatnonzero(kept)
    lasts = duration[passed] + duration[passed + 1]
    change = target[passed + 1] - start[passed]
    mean = change / np.where(lasts > 0, lasts, np.inf)[:, None]
    room = np.minimum(limits.upper - target[passed], target[passed] - limits.lower)
    fastest = fastest_that_stops_within(np.maximum(room, 0.0), limits)
    velocity[passed] = np.clip(kept[passed, None] * mean, -fastest, fastest)
    return velocity


def fastest_that_stops_within(distance: FloatArray, limits: JointLimits) -> FloatArray:
    """Greatest velocity from which each joint can stop within a distance (n, dof), without acceleration at first.

    Stopping from v under acceleration a and jerk j covers v sqrt(v/j) if v <= a^2/j, which never reaches a, and else
    v/2 (v/a + a/j); these are solved for v.
    """
    a, j = limits.acceleration, limits.jerk
    short = cube_roots(distance * distance * j)
    ramp = a**2 / j
    return np.where(short <= ramp, short, (np.sqrt(ramp**2 + 8 * a * distance) - ramp) / 2)
