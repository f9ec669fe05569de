"""Where the policy wants the arm at every moment: a smooth curve through a chunk's targets."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headstart_client.limits import ArmLimits, Array
from headstart_client.quintic import samples

Mask = NDArray[np.bool_]

_SHARE = 0.5
"""Of every limit that making up for a distance may take."""

_ROUNDS = 8
"""Of smoothing, and of making up for a distance more slowly, at most."""

_LONGER = 1.3
"""How much longer each time."""


@dataclass(frozen=True, eq=False)
class Path:
    """Knots of a curve, one for each step of a chunk.

    The curve is the uniform cubic B-spline that has the targets as its control points: it is never outside them, its
    acceleration is continuous, and what is noise from one target to the next is taken out without lag, since a chunk
    says what comes next.

    Attributes:
        start: when the first knot is due [s].
        step_s: from one knot to the next [s].
        knots: (steps, 3, dof): position [rad] or [m], velocity and acceleration by seconds.
        gripper: (steps,), as the policy says it, or None.
    """

    start: float
    step_s: float
    knots: Array
    gripper: Array | None

    @classmethod
    def through(cls, targets: Array, gripper: Array | None, start: float, step_s: float, limits: ArmLimits) -> "Path":
        """Through targets (steps, dof), steps at least 2; smoothed further where limits are in the way."""
        for _ in range(_ROUNDS):
            path = cls._spline(targets, gripper, start, step_s)
            if path._keeps(limits).all():
                break
            targets = targets.copy()
            targets[1:-1] = (targets[:-2] + 2 * targets[1:-1] + targets[2:]) / 4
        return path

    def _keeps(self, limits: ArmLimits) -> Mask:
        """Which limits are kept: of velocity, acceleration and, up to the next knot, jerk, (3, steps, dof)."""
        slow = np.abs(self.knots[:, 1]) <= limits.velocity
        soft = np.abs(self.knots[:, 2]) <= limits.acceleration
        steady = np.ones_like(slow)
        steady[:-1] = np.abs(np.diff(self.knots[:, 2], axis=0)) <= limits.jerk * self.step_s
        return np.stack([slow, soft, steady])

    @classmethod
    def _spline(cls, targets: Array, gripper: Array | None, start: float, step_s: float) -> "Path":
        first, last = 2 * targets[:1] - targets[1:2], 2 * targets[-1:] - targets[-2:-1]
        points = np.concatenate([first, targets, last])
        before, here, after = points[:-2], points[1:-1], points[2:]
        bend = before - 2 * here + after
        knots = np.stack([here + bend / 6, (after - before) / (2 * step_s), bend / step_s**2], axis=1)
        return cls(start, step_s, knots, gripper)

    @property
    def end(self) -> float:
        """When the last knot is due [s]."""
        return self.start + (len(self.knots) - 1) * self.step_s

    def due(self) -> Array:
        """When each knot is due [s], (steps,)."""
        return self.start + self.step_s * np.arange(len(self.knots), dtype=np.float64)

    def ahead(self, time: float) -> int:
        """The next knot to go to: half a step away or more, but for the last one."""
        index = math.ceil((time - self.start) / self.step_s + 0.5 - 1e-6)
        return max(0, min(index, len(self.knots) - 1))

    def at(self, time: float) -> Array:
        """Position, velocity and acceleration at a time, (3, dof); before its ends the nearest knot's."""
        place = max(0.0, min((time - self.start) / self.step_s, len(self.knots) - 1.0))
        index = min(int(place), len(self.knots) - 2)
        where = np.array([place - index])
        return samples(self.knots[index], self.knots[index + 1], self.step_s, where)[0, :3]

    def gripper_at(self, time: float) -> float | None:
        """What the gripper is to do: the latest step's."""
        if self.gripper is None:
            return None
        # A moment later than its step is not to miss it by rounding.
        step = max(0, min(math.floor((time - self.start) / self.step_s + 1e-6), len(self.gripper) - 1))
        return float(self.gripper[step])

    def joined(self, state: Array, time: float, limits: ArmLimits, shortest_s: float) -> "Path":
        """The path that goes on from a state (3, dof) at a time, and is on this one a little later.

        The difference fades by a quintic, which takes so long that it needs at most half of each limit; longer, where
        some such time keeps every limit that this path alone keeps. Knots are kept where the arm can be without leaving
        its limits afterwards.
        """
        apart = state - self.at(time)
        half = [_SHARE * values for values in (limits.velocity, limits.acceleration, limits.jerk)]
        far, fast, pushed = np.abs(apart)
        # Peaks of velocity, acceleration and jerk of the quintic that takes away a distance, a velocity, an
        # acceleration of 1 in 1 s.
        needs = [1.875 * far / half[0], np.sqrt(5.774 * far / half[1]), np.cbrt(60 * far / half[2])]
        needs += [3.936 * fast / half[1], np.sqrt(36 * fast / half[2]), 9 * pushed / half[2]]
        lasts = max(shortest_s, float(np.max(needs)))
        # What this path asks beyond a limit by itself, no fading mends.
        ahead, beyond = self.ahead(time), ~self._keeps(limits)
        joined = first = self._fading(apart, time, lasts)
        for rounds in range(_ROUNDS):
            if (joined._keeps(limits) | beyond)[:, ahead:].all():
                break
            lasts *= _LONGER
            joined = self._fading(apart, time, lasts) if rounds < _ROUNDS - 1 else first
        return replace(joined, knots=_reachable(joined.knots, limits))

    def _fading(self, apart: Array, time: float, lasts: float) -> "Path":
        """This path and a difference (3, dof) at a time, which is none when it has lasted so long."""
        times = self.due() - time
        fading = np.zeros_like(self.knots)
        within = (times >= 0) & (times < lasts)
        fading[within] = samples(apart, np.zeros_like(apart), lasts, times[within] / lasts)[:, :3]
        return replace(self, knots=self.knots + fading)


def _reachable(knots: Array, limits: ArmLimits) -> Array:
    position = np.clip(knots[:, 0], limits.lower, limits.upper)
    up = limits.velocity_towards(limits.upper - position)
    down = limits.velocity_towards(position - limits.lower)
    velocity = np.clip(knots[:, 1], -down, up)
    return np.stack([position, velocity, np.clip(knots[:, 2], -limits.acceleration, limits.acceleration)], axis=1)
