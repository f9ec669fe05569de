"""How to get from a state to a knot of the path by the time it is due, or as soon after as limits let it be."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from ruckig import InputParameter, Result, Ruckig, Synchronization, Trajectory

from headstart_client.limits import ArmLimits, Array
from headstart_client.quintic import samples
from headstart_client.stopping import State

_CHECKED = 50
"""Fewest moments at which a quintic is looked at: between them its jerk differs by less than 1 part in 1,000."""


class Motion(NamedTuple):
    """A motion of some ticks.

    Attributes:
        ticks: how many.
        at: the state after 1, 2, ... of them.
        in_time: whether it is at its knot after the last.
    """

    ticks: int
    at: Callable[[int], State]
    in_time: bool


class MotionPlanner:
    """Plans motions of a number of ticks towards a knot."""

    def __init__(self, limits: ArmLimits, period: float) -> None:
        self._limits, self._period = limits, period
        self._ruckig, self._input = Ruckig(limits.dof), InputParameter(limits.dof)
        self._input.max_velocity = limits.velocity.tolist()
        self._input.max_acceleration = limits.acceleration.tolist()
        self._input.max_jerk = limits.jerk.tolist()
        self._bounds = np.stack([limits.velocity, limits.acceleration, limits.jerk])

    def plan(self, state: State, knot: Array, ticks: int, careful: bool) -> Motion | None:
        """The smoothest motion within limits: a quintic, else by Ruckig, else by Ruckig to rest at the knot.

        Args:
            state: of now.
            knot: (3, dof), inside the limits.
            ticks: until the knot is due.
            careful: leaves the first two out. None comes only of a state that Ruckig has no way from.
        """
        if not careful:
            finer = math.ceil(_CHECKED / ticks)
            smooth = samples(np.array(state), knot, ticks * self._period, ticks * finer)
            if self._keeps(smooth):
                return Motion(ticks, lambda tick: State(*smooth[tick * finer, :3].tolist()), in_time=True)
            found = self._by_ruckig(state, knot, ticks, at_rest=False)
            if found is not None:
                return found
        return self._by_ruckig(state, knot, ticks, at_rest=True)

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
        if self._ruckig.calculate(given, trajectory) not in (Result.Working, Result.Finished):
            return None
        reached = zip(trajectory.position_extrema, self._limits.lower, self._limits.upper, strict=True)
        if not at_rest and not all(lower <= bound.min and bound.max <= upper for bound, lower, upper in reached):
            return None
        in_time = trajectory.duration <= (ticks + 0.5) * self._period
        return Motion(ticks, lambda tick: State(*trajectory.at_time(tick * self._period)), in_time)
