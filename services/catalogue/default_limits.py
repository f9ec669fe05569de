"""Acceleration and jerk limits for arms whose maker states none: one rule for all of them."""

from collections.abc import Iterable

SPEED_UP_S = 0.2
"""A joint reaches its greatest speed from rest in this time at its greatest acceleration [s]."""
RAMP_S = 0.05
"""It reaches its greatest acceleration from none in this time at its greatest jerk [s]."""

RULE = f"default rule: acceleration = velocity / {SPEED_UP_S} s, jerk = acceleration / {RAMP_S} s"


def default_acceleration(velocity: Iterable[float]) -> tuple[float, ...]:
    """Greatest acceleration of each joint [rad/s^2] or [m/s^2], from its greatest speed [rad/s] or [m/s]."""
    return tuple(round(v / SPEED_UP_S, 6) for v in velocity)


def default_jerk(acceleration: Iterable[float]) -> tuple[float, ...]:
    """Greatest jerk of each joint [rad/s^3] or [m/s^3], from its greatest acceleration [rad/s^2] or [m/s^2]."""
    return tuple(round(a / RAMP_S, 6) for a in acceleration)
