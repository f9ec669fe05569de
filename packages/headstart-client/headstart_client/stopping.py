"""Coming to rest from any state, as fast as jerk and acceleration limits let it, and where that leads."""

import math
from typing import NamedTuple

import numpy as np

from headstart_client.limits import Array


class State(NamedTuple):
    """All joints at one moment: position [rad] or [m], velocity and acceleration by seconds; each of length dof."""

    position: list[float]
    velocity: list[float]
    acceleration: list[float]


JointState = tuple[float, float, float]
"""Position, velocity and acceleration of one joint."""


class JointStop(NamedTuple):
    """One joint's way to rest: `jerk` until `first`, none until `second`, its opposite until `end` [s]."""

    state: JointState
    jerk: float
    first: float
    second: float
    end: float

    @classmethod
    def shortest(cls, state: JointState, acceleration: float, jerk: float) -> "JointStop":
        """The stop that takes the shortest time at the greatest |acceleration|, which the state keeps, and |jerk|."""
        _, v, a = state
        # Velocity once the acceleration is brought to none: the stop has to take that away.
        sign = 1.0 if v + a * abs(a) / (2 * jerk) > 0 else -1.0
        v, a = sign * v, sign * a
        peak, held = math.sqrt(max(0.0, jerk * v + a * a / 2)), 0.0
        if peak > acceleration:
            held, peak = (v + a * a / (2 * jerk)) / acceleration - acceleration / jerk, acceleration
        first = max(0.0, (a + peak) / jerk)
        return cls(state, -sign * jerk, first, first + held, first + held + peak / jerk)

    def at(self, time: float) -> JointState:
        """Position, velocity and acceleration `time` [s] after its beginning; at rest from its end on."""
        q, v, a = _moved(self.state, self.jerk, min(time, self.first))
        if time > self.first:
            q, v, a = _moved((q, v, a), 0.0, min(time, self.second) - self.first)
        if time > self.second:
            q, v, a = _moved((q, v, a), -self.jerk, min(time, self.end) - self.second)
        return (q, v, a) if time < self.end else (q, 0.0, 0.0)

    def extremes(self) -> tuple[float, float]:
        """Lowest and highest position on the way."""
        start, (_, v, a), jerk = self.state[0], self.state, abs(self.jerk)
        end = self.at(self.end)[0]
        if v * a < 0 and self.jerk * a < 0 and a * a > 2 * jerk * abs(v):
            # Its acceleration outlasts its velocity: it turns round once, in the first piece.
            turn = _moved(self.state, self.jerk, (abs(a) - math.sqrt(a * a - 2 * jerk * abs(v))) / jerk)[0]
            return min(start, turn, end), max(start, turn, end)
        return min(start, end), max(start, end)


def _moved(state: JointState, jerk: float, time: float) -> JointState:
    q, v, a = state
    return (
        q + time * (v + time * (a / 2 + time * jerk / 6)),
        v + time * (a + time * jerk / 2),
        a + time * jerk,
    )


class Stop:
    """The stop of every joint, each by its own shortest way: one that waited for others would go farther."""

    def __init__(self, joints: list[JointStop]) -> None:
        self._joints = joints
        self.duration = max(joint.end for joint in joints)

    def at(self, time: float) -> State:
        """The state `time` [s] after its beginning."""
        return State(*map(list, zip(*(joint.at(time) for joint in self._joints), strict=True)))

    def extremes(self) -> tuple[Array, Array]:
        """Lowest and highest positions on the way, (dof,) each [rad] or [m]."""
        low, high = zip(*(joint.extremes() for joint in self._joints), strict=True)
        return np.array(low), np.array(high)
