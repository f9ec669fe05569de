"""Which states may be commanded: those that the arm gets to, and comes to rest from, within its limits."""

from typing import Protocol

from headstart_client.limits import ArmLimits
from headstart_client.stopping import JointState, JointStop, State, Stop

_ROUNDED = 1e-14
"""Of a position [rad] or [m]."""


class Surroundings(Protocol):
    """What an arm may not touch."""

    def meets(self, state: State, stop: Stop) -> str | None:
        """What the arm would come too near to in a state or on the stop from it, in words; None if to nothing."""


class Guard:
    """Looks at a state before it is commanded. It relies on nothing that planned it."""

    def __init__(self, limits: ArmLimits, period: float) -> None:
        names = ("lower", "upper", "velocity", "acceleration", "jerk")
        rows = zip(*(getattr(limits, name).tolist() for name in names), strict=True)
        self._joints = [_JointGuard(period, *row) for row in rows]

    def allows(self, before: State, state: State) -> bool:
        """Whether a state may be commanded one period after another one."""
        pairs = zip(self._joints, zip(*before, strict=True), zip(*state, strict=True), strict=True)
        return all(joint.follows(then, now) and joint.stops(now) for joint, then, now in pairs)

    def stop(self, state: State) -> Stop:
        """The stop from a state that was allowed."""
        pairs = zip(self._joints, zip(*state, strict=True), strict=True)
        return Stop([joint.stop(now) for joint, now in pairs])


class _JointGuard:
    def __init__(
        self, period: float, lower: float, upper: float, velocity: float, acceleration: float, jerk: float
    ) -> None:
        self._lower, self._upper = lower, upper
        self._velocity, self._acceleration, self._jerk, self._period = velocity, acceleration, jerk, period
        # How far from the trapezoidal rule jerk within its limit can bring a velocity and a position in a period.
        self._push, self._curve, self._bend = jerk * period, jerk * period**2 / 4, jerk * period**3 / 12 + _ROUNDED

    def follows(self, before: JointState, state: JointState) -> bool:
        """Whether jerk within its limit can lead from one state to the other in a period."""
        (q0, v0, a0), (q, v, a), half = before, state, self._period / 2
        return (
            abs(a - a0) <= self._push
            and abs(v - v0 - half * (a + a0)) <= self._curve
            and abs(q - q0 - half * (v + v0)) <= self._bend
        )

    def stops(self, state: JointState) -> bool:
        """Whether the state, and the stop from it, are inside the limits."""
        q, v, a = state
        turned = a * abs(a) / (2 * self._jerk)
        # Velocity goes on to v + turned while the acceleration is brought to none.
        if not (abs(a) <= self._acceleration and abs(v) <= self._velocity and abs(v + turned) <= self._velocity):
            return False
        # Mostly there is room for more than any stop from it needs: velocity at most `fast`, for at most so long.
        fast = abs(v) + abs(turned)
        far = fast * (abs(a) / self._jerk + fast / self._acceleration + 2 * self._acceleration / self._jerk)
        if self._lower <= q - far and q + far <= self._upper:
            return True
        lowest, highest = self.stop(state).extremes()
        return self._lower <= lowest and highest <= self._upper

    def stop(self, state: JointState) -> JointStop:
        """The shortest."""
        return JointStop.shortest(state, self._acceleration, self._jerk)
