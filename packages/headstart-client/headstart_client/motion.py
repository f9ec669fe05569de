"""How to get from a state to a path: to the next of its knots that limits let the arm reach by the time it is due."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from ruckig import InputParameter, Result, Ruckig, RuckigError, Synchronization, Trajectory

from headstart_client.limits import ArmLimits, Array
from headstart_client.path import Path
from headstart_client.quintic import samples
from headstart_client.stopping import State

_CHECKED = 50
"""Fewest moments at which a quintic is looked at: between them its jerk differs by less than 1 part in 1,000."""
_LATER = (0, 1, 3, 7)
"""Knots that are tried, counted from the next one."""


class Motion(NamedTuple):
    """A motion of some ticks.

    Attributes:
        ticks: how many.
        at: the state after 1, 2, ... of them.
        in_time: whether it is at a knot after the last, when that is due.
    """

    ticks: int
    at: Callable[[int], State]
    in_time: bool


class MotionPlanner:
    """Plans motions onto a path."""

    def __init__(self, limits: ArmLimits, period: float) -> None:
        self._limits, self._period = limits, period
        self._ruckig, self._input = Ruckig(limits.dof), InputParameter(limits.dof)
        self._input.max_velocity = limits.velocity.tolist()
        self._input.max_acceleration = limits.acceleration.tolist()
        self._input.max_jerk = limits.jerk.tolist()
        self._bounds = np.stack([limits.velocity, limits.acceleration, limits.jerk])

    def plan(self, state: State, time: float, path: Path, careful: bool) -> Motion | None:
        """The smoothest motion: a quintic to a knot that it reaches in time, else towards the next one by Ruckig.

        Args:
            state: of the arm at a time.
            time: [s]
            path: whose knots are inside the limits.
            careful: comes to rest at the next knot, by Ruckig, which leaves no position limit. None comes only of a
                state that Ruckig has no way from.
        """
        index = path.ahead(time)
        if not careful:
            for later in _LATER:
                if index + later < len(path.knots):
                    smooth = self._quintic(state, path.knots[index + later], self._ticks(path, index + later, time))
                    if smooth is not None:
                        return smooth
            found = self._by_ruckig(state, path.knots[index], self._ticks(path, index, time), at_rest=False)
            if found is not None:
                return found
        return self._by_ruckig(state, path.knots[index], self._ticks(path, index, time), at_rest=True)

    def foresee(
        self, state: State, time: float, path: Path, motion: Motion | None, ticks: Sequence[int]
    ) -> list[State]:
        """The states after so many ticks, as this planner will plan them.

        Args:
            state: of the arm at a time; not looked at where there is a motion.
            time: [s]
            path: that is followed.
            motion: that begins at this time; None where none is planned yet.
            ticks: ascending, counted from this time.
        """
        found, begun = list[State](), 0
        for tick in ticks:
            while motion is None or tick > begun + motion.ticks:
                if motion is not None:
                    state, begun = motion.at(motion.ticks), begun + motion.ticks
                motion = self.plan(state, time + begun * self._period, path, careful=False)
                if motion is None:
                    return found + [state] * (len(ticks) - len(found))
            found.append(motion.at(tick - begun))
        return found

    def _ticks(self, path: Path, index: int, time: float) -> int:
        return max(1, round((path.start + index * path.step_s - time) / self._period))

    def _quintic(self, state: State, knot: Array, ticks: int) -> Motion | None:
        finer = math.ceil(_CHECKED / ticks)
        smooth = samples(np.array(state), knot, ticks * self._period, ticks * finer)
        if not self._keeps(smooth):
            return None
        return Motion(ticks, lambda tick: State(*smooth[tick * finer, :3].tolist()), in_time=True)

    def _keeps(self, sampled: Array) -> bool:
        position = sampled[:, 0]
        inside = (position >= self._limits.lower).all() and (position <= self._limits.upper).all()
        return bool(inside and (np.abs(sampled[:, 1:]) <= self._bounds).all())

    def _by_ruckig(self, state: State, knot: Array, ticks: int, at_rest: bool) -> Motion | None:
        given, trajectory = self._input, Trajectory(self._limits.dof)
        given.current_position, given.current_velocity, given.current_acceleration = state
        given.target_position = knot[0].tolist()
        given.target_velocity = [0.0] * self._limits.dof if at_rest else knot[1].tolist()
        # To rest each joint takes its shortest way, which goes no farther than its stop; one that waits for others may.
        given.synchronization = Synchronization.No if at_rest else Synchronization.Time
        given.minimum_duration = None if at_rest else ticks * self._period
        try:
            found = self._ruckig.calculate(given, trajectory)
        except RuckigError:
            # Now and then it finds no common duration for joints that wait for each other.
            return None
        if found not in (Result.Working, Result.Finished):
            return None
        reached = zip(trajectory.position_extrema, self._limits.lower, self._limits.upper, strict=True)
        if not at_rest and not all(lower <= bound.min and bound.max <= upper for bound, lower, upper in reached):
            return None
        in_time = trajectory.duration <= (ticks + 0.5) * self._period
        return Motion(ticks, lambda tick: State(*trajectory.at_time(tick * self._period)), in_time)
