"""Which states may be commanded: those that the arm gets to, and comes to rest from, within its limits."""

from headstart_client.limits import ArmLimits
from headstart_client.stopping import JointStop, State, Stop


class Guard:
    """Looks at a state before it is commanded. It relies on nothing that planned it."""

    def __init__(self, limits: ArmLimits, period: float) -> None:
        names = ("lower", "upper", "velocity", "acceleration", "jerk")
        self._limits = list(zip(*(getattr(limits, name).tolist() for name in names), strict=True))
        self._period = period

    def stop_after(self, before: State, state: State) -> Stop | None:
        """The stop from a state that is commanded one period after `before`; None where a limit would be left."""
        joints, dt = [], self._period
        pairs = zip(zip(*before, strict=True), zip(*state, strict=True), strict=True)
        for (lower, upper, velocity, acceleration, jerk), ((q0, v0, a0), (q, v, a)) in zip(
            self._limits, pairs, strict=True
        ):
            # Velocity goes on to v + a |a| / (2 jerk) while the acceleration is brought to none.
            if not (abs(a) <= acceleration and abs(v) <= velocity and abs(v + a * abs(a) / (2 * jerk)) <= velocity):
                return None
            # What jerk within its limit can make of a period: by the trapezoidal rule, and how far off that can be.
            if not (
                abs(a - a0) <= jerk * dt
                and abs(v - v0 - dt * (a + a0) / 2) <= jerk * dt**2 / 4
                and abs(q - q0 - dt * (v + v0) / 2) <= jerk * dt**3 / 12 + _ROUNDED
            ):
                return None
            stop = JointStop.shortest((q, v, a), acceleration, jerk)
            lowest, highest = stop.extremes()
            if not (lower <= lowest and highest <= upper):
                return None
            joints.append(stop)
        return Stop(joints)


_ROUNDED = 1e-14
"""Of a position [rad] or [m]."""
