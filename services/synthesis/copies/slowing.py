"""Copies followed by the arm at the demonstration's pace, and slower where that is too fast."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.copies.carrying import carry_tool
from services.synthesis.copies.following import GREATEST_SLOWDOWN, follow_poses, slowdown_needed
from services.synthesis.copies.pace import fastest_steps, joined, knot_times, path_steps, slowed
from services.synthesis.copies.sources import Sources
from services.synthesis.copies.transforms import Transforms
from services.synthesis.request.goals import Goal
from services.synthesis.solve.line_knots import FOLLOWED

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_PASSES = 3
"""Times that a copy is made slower in places for a reason; what is left then is little, and slows it as a whole."""
_NEGLIGIBLE = 0.01
"""Share by which a bound may be broken without that, and that is added where one is."""


@dataclass(frozen=True, eq=False)
class Followed:
    """n copies with K knots in all.

    Attributes:
        first_knot: first knot of each, and K, shape (n + 1,).
        time: of each knot, in steps of the source, shape (K,).
        q: configuration at each, shape (K, dof) [rad or m].
        verdict: FOLLOWED, or why the arm can't follow, shape (n,).
    """

    first_knot: IntArray
    time: FloatArray
    q: FloatArray
    verdict: IntArray


def follow(
    robot: RobotModel, goal: Goal, sources: Sources, source: IntArray, placed: Transforms, rate_hz: float
) -> Followed:
    """Follows n copies: slower where the tool would be faster than it ever is in the demonstration, or where a joint's
    limit asks for it.

    Args:
        robot: the arm.
        goal: how much of the tool's poses is to be reached.
        sources: the demonstrations.
        source: which one each copies, shape (n,).
        placed: their transforms.
        rate_hz: of the demonstrations.
    """
    return _Followers(robot, goal, sources, source, placed, rate_hz).run()


class _Followers:
    def __init__(
        self, robot: RobotModel, goal: Goal, sources: Sources, source: IntArray, placed: Transforms, rate_hz: float
    ) -> None:
        self._robot, self._goal, self._rate_hz = robot, goal, rate_hz
        self._sources, self._source, self._placed = sources, source, placed
        self._times = knot_times(sources, source, placed, rate_hz)
        self._fastest = fastest_steps(sources)[source]
        self._q = [np.empty((0, robot.dof))] * len(source)
        self._verdict = np.zeros(len(source), np.int64)

    def run(self) -> Followed:
        """Everything."""
        rows = np.arange(len(self._source))
        for _ in range(_PASSES):
            if len(rows):
                rows = self._slow(rows, self._pace(rows))
        rows = np.arange(len(self._source))
        for turn in range(_PASSES + 1):
            if not len(rows):
                break
            need = self._solve(rows)
            if turn < _PASSES:
                rows = self._slow(rows, need)
        first_knot, time = joined(self._times)
        return Followed(first_knot, time, np.concatenate([np.empty((0, self._robot.dof)), *self._q]), self._verdict)

    def _slow(self, rows: IntArray, need: list[FloatArray]) -> IntArray:
        """Gives rows that need it more time; which ones those were."""
        slower = []
        for row, factor in zip(rows.tolist(), need, strict=True):
            if self._verdict[row] == FOLLOWED and factor.max() > 1 + _NEGLIGIBLE:
                factor = np.minimum(factor * (1 + _NEGLIGIBLE), GREATEST_SLOWDOWN)
                self._times[row] = slowed(self._times[row], factor)
                slower.append(row)
        return np.array(slower, np.int64)

    def _pace(self, rows: IntArray) -> list[FloatArray]:
        """How many times slower each interval of these rows must be for the tool's speed."""
        first_knot, position, rotation = self._poses(rows)
        steps = path_steps(first_knot, position, rotation)
        return [part / self._fastest[row] for row, part in zip(rows, _by_row(steps, first_knot), strict=True)]

    def _solve(self, rows: IntArray) -> list[FloatArray]:
        """Solves these rows; how many times slower each interval must be for the joints' limits."""
        first_knot, position, rotation = self._poses(rows)
        q, self._verdict[rows] = follow_poses(self._robot, self._goal, first_knot, position, rotation)
        for row, part in zip(rows.tolist(), np.split(q, first_knot[1:-1]), strict=True):
            self._q[row] = part
        return _by_row(slowdown_needed(self._robot, first_knot, q, self._rate_hz), first_knot)

    def _poses(self, rows: IntArray) -> tuple[IntArray, FloatArray, FloatArray]:
        """First knots, and the tool's position (K, 3) [m] and rotation (K, 9) at the knots of these rows."""
        first_knot, time = joined([self._times[row] for row in rows])
        placed = Transforms(*(np.ascontiguousarray(values[rows]) for values in self._placed))
        position, rotation = np.empty((len(time), 3)), np.empty((len(time), 9))
        carry_tool(self._sources, self._source[rows], placed, first_knot, time, position, rotation)
        return first_knot, position, rotation


def _by_row(values: FloatArray, first_knot: IntArray) -> list[FloatArray]:
    """Values of the intervals between knots, (K - n,), for each row."""
    return np.split(values, (first_knot[1:-1] - np.arange(1, len(first_knot) - 1)).tolist())
