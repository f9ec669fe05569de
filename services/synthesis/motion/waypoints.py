"""Joint configurations of a candidate's waypoints: drawn, by IK of their poses, or at the end of a line of the tool."""

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.draw.sampling import Candidates
from services.synthesis.motion.lines import Lines, make_lines
from services.synthesis.motion.timing import slowdown
from services.synthesis.numerics.rotations import angle_between
from services.synthesis.request.families import DRAWN, LINE, SAME, SOLVED
from services.synthesis.request.goals import Goal
from services.synthesis.solve import ik
from services.synthesis.solve.line_knots import FOLLOWED

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

POSTURE_CHANGE = 1.5
"""How much farther [rad] than the tool a joint turns, from one waypoint to the next, for that to be another posture."""
POSE_UNREACHABLE, OTHER_POSTURE = 5, 6
"""What `find` answers of a pose that IK does not converge on, and of one that the arm would have to turn over for; of
the others it answers as line_knots does of lines."""


class PlacedLines(NamedTuple):
    """Lines that arrive at waypoint `waypoint` of the candidates `row`, each of shape (m,)."""

    row: IntArray
    waypoint: IntArray
    lines: Lines


class Waypoints:
    """Configurations of the waypoints of n candidates, found one after the other.

    Attributes:
        q: configurations, shape (n, W, dof) [rad].
        found: which of them are found, shape (n, W); those past a candidate's own are.
    """

    def __init__(
        self, robot: RobotModel, candidates: Candidates, goal: Goal = "pose", one_posture: bool = False
    ) -> None:
        """None is found yet. With `one_posture`, the arm may not turn over from one waypoint to the next."""
        n, count = candidates.arrival.shape
        self._robot, self._candidates, self._goal, self._one_posture = robot, candidates, goal, one_posture
        self.q = np.zeros((n, count, robot.dof))
        self.found = np.arange(count) > candidates.segments[:, None]
        drawn = candidates.targets.q is not None
        self._alone = (candidates.arrival == DRAWN) | ((candidates.arrival == SOLVED) & drawn)
        self._alone[:, 0] = True
        self._lines: list[PlacedLines] = []
        self._line = np.full((n, count), -1)

    def ready(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Waypoints of some candidates that can be looked for now: row and waypoint, shape (m,) each.

        Those are the ones that have nothing to do with the waypoint before, or whose waypoint before is found.
        """
        found, alone = self.found[rows], self._alone[rows]
        before = np.concatenate([np.ones((len(rows), 1), np.bool_), found[:, :-1]], axis=1)
        place, waypoint = np.nonzero(~found & (alone | before))
        return rows[place], waypoint

    def find(self, row: IntArray, waypoint: IntArray) -> IntArray:
        """Looks for waypoints that are ready; FOLLOWED for those found, or what is wrong, shape (m,).

        Poses drawn in a box are solved from the configuration before them, so that the arm goes on in the posture it
        has; poses near demonstrated ones from near the configurations of those. Poses of `reachable` may lie anywhere:
        each is solved from the nearest of the robot's table.
        """
        arrival = self._candidates.arrival[row, waypoint]
        verdict = np.full(len(row), FOLLOWED)
        for how, search in ((DRAWN, self._take_drawn), (SOLVED, self._solve), (SAME, self._stay), (LINE, self._follow)):
            some = np.flatnonzero(arrival == how)
            if len(some):
                verdict[some] = search(row[some], waypoint[some])
        good = verdict == FOLLOWED
        self.found[row[good], waypoint[good]] = True
        return verdict

    def forget(self, row: IntArray, waypoint: IntArray) -> None:
        """Waypoints whose targets are replaced are not found any more, nor those after them that hang on them."""
        lost = np.zeros_like(self.found)
        lost[row, waypoint] = True
        for k in range(1, self.found.shape[1]):
            lost[:, k] |= lost[:, k - 1] & ~self._alone[:, k]
        self.found[lost & (np.arange(self.found.shape[1]) <= self._candidates.segments[:, None])] = False

    def lines(self, rows: IntArray) -> list[PlacedLines]:
        """The lines of some candidates."""
        chosen = np.zeros(len(self.q), np.bool_)
        chosen[rows] = True
        placed = []
        for index, (row, waypoint, lines) in enumerate(self._lines):
            last = np.flatnonzero(chosen[row] & (self._line[row, waypoint] == index))
            if len(last):
                placed.append(PlacedLines(row[last], waypoint[last], lines.take(last)))
        return placed

    def _take_drawn(self, row: IntArray, waypoint: IntArray) -> IntArray:
        drawn = self._candidates.targets.q
        assert drawn is not None
        self.q[row, waypoint] = drawn[row, waypoint]
        return np.full(len(row), FOLLOWED)

    def _stay(self, row: IntArray, waypoint: IntArray) -> IntArray:
        self.q[row, waypoint] = self.q[row, waypoint - 1]
        return np.full(len(row), FOLLOWED)

    def _solve(self, row: IntArray, waypoint: IntArray) -> IntArray:
        targets, start = self._candidates.targets, None
        if targets.q is None:
            assert targets.near is not None
            given = waypoint < targets.near.shape[1]
            start = self.q[row, waypoint - 1]
            start[given] = targets.near[row[given], waypoint[given]]
        poses = targets.poses(self._robot, row, waypoint)
        solution = ik.solve(self._robot, *poses, first_start=start, goal=self._goal)
        self.q[row, waypoint] = solution.q
        verdict = np.where(solution.converged, FOLLOWED, POSE_UNREACHABLE)
        if self._one_posture:
            moved = np.flatnonzero(solution.converged & (waypoint > 0))
            changes = changes_posture(self._candidates, self.q, row[moved], waypoint[moved])
            verdict[moved[changes]] = OTHER_POSTURE
        return verdict

    def _follow(self, row: IntArray, waypoint: IntArray) -> IntArray:
        candidates, tool_speed = self._candidates, self._candidates.events.tool_speed
        lines = make_lines(
            self._robot,
            self.q[row, waypoint - 1],
            *candidates.targets.poses(self._robot, row, waypoint),
            None if tool_speed is None else tool_speed[row, waypoint - 1],
            candidates.speed_scale[row],
            self._goal,
        )
        duration = np.add.reduceat(lines.profiles.duration, lines.first[:-1])
        slower = slowdown(duration, candidates.events.time[row, waypoint - 1])
        profiles = lines.profiles.slowed(np.repeat(slower, np.diff(lines.first)))
        self.q[row, waypoint], self._line[row, waypoint] = lines.end, len(self._lines)
        self._lines.append(PlacedLines(row, waypoint, dataclasses.replace(lines, profiles=profiles)))
        return lines.verdict


def changes_posture(candidates: Candidates, q: FloatArray, row: IntArray, waypoint: IntArray) -> BoolArray:
    """Whether a joint turns far more than the tool on the way to a waypoint from the one before, shape (m,).

    Args:
        candidates: whose targets are poses.
        q: configurations of their waypoints, shape (n, W, dof).
        row: candidates, shape (m,).
        waypoint: of theirs, not the first, shape (m,).
    """
    rotation = candidates.targets.rotation
    assert rotation is not None
    turn = angle_between(rotation[row, waypoint - 1], rotation[row, waypoint])
    farthest = np.abs(q[row, waypoint] - q[row, waypoint - 1]).max(1, initial=0.0)
    return np.asarray(farthest > turn + POSTURE_CHANGE)
