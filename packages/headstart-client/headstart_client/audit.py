"""Whether commands kept an arm's limits: from what was commanded alone, with no code of the executor's."""

from dataclasses import dataclass, field

import numpy as np

from headstart_client.limits import ArmLimits, Array


@dataclass
class MotionAudit:
    """Looks at the commands of one arm, given in blocks in their order.

    Velocity, acceleration and jerk are looked at twice: as the states say them (jerk from the change of acceleration),
    and from positions alone, which is what an arm gets: their first, second and third differences are means of its
    velocity, acceleration and jerk. Only what rounding does to a difference is allowed beyond a limit.

    Attributes:
        limits: of the arm.
        period: between two commands [s].
        steps: commands looked at.
        violations: of each limit, and where positions and velocities contradict each other.
        most_share: the greatest share of each limit that was used.
    """

    limits: ArmLimits
    period: float
    steps: int = 0
    violations: dict[str, int] = field(default_factory=dict)
    most_share: dict[str, float] = field(default_factory=dict)
    _before: Array | None = None

    def add(self, states: Array) -> None:
        """Takes states (ticks, 3, dof): position, velocity and acceleration."""
        self.steps += len(states)
        earlier = states[:0] if self._before is None else self._before
        whole = np.concatenate([earlier, states])
        self._before = whole[-3:].copy()
        limits, dt = self.limits, self.period
        rounding = 4 * np.finfo(np.float64).eps * np.abs(whole[:, 0]).max(axis=0, initial=0.0)
        outside = np.maximum(limits.lower - states[:, 0], states[:, 0] - limits.upper)
        self._look("position", outside, np.zeros(limits.dof))
        self._look("velocity", states[:, 1], limits.velocity)
        self._look("acceleration", states[:, 2], limits.acceleration)
        for order, name in enumerate(("velocity", "acceleration", "jerk"), start=1):
            position = whole[max(0, len(earlier) - order) :, 0]
            differences = np.diff(position, order, axis=0) / dt**order
            self._look(f"{name}_of_positions", differences, getattr(limits, name) + 2**order * rounding / dt**order)
        two = whole[max(0, len(earlier) - 1) :]
        self._look("jerk", np.diff(two[:, 2], axis=0) / dt, limits.jerk)
        # By the trapezoidal rule, which is off by no more than a jerk within its limit can make it.
        drift = np.diff(two[:, 0], axis=0) - dt * (two[1:, 1] + two[:-1, 1]) / 2
        self._look("agreement", drift, limits.jerk * dt**3 / 12 + rounding)

    def _look(self, name: str, values: Array, most: Array) -> None:
        size = np.abs(values) if name != "position" else values
        self.violations[name] = self.violations.get(name, 0) + int((~(size <= most)).any(axis=-1).sum())
        if name != "position":
            self.most_share[name] = max(self.most_share.get(name, 0.0), float((size / most).max(initial=0.0)))
