"""Joint configurations of a candidate's waypoints: drawn, by IK of their poses, or at the end of a line of the tool."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.draw.sampling import Candidates
from services.synthesis.motion.lines import Lines, make_lines
from services.synthesis.motion.timing import slowdown
from services.synthesis.numerics.rotations import angle_between
from services.synthesis.request.families import LINE, SAME, SOLVED
from services.synthesis.request.goals import Goal
from services.synthesis.solve import ik
from services.synthesis.solve.line_knots import FOLLOWED

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

POSTURE_CHANGE = 1.5
"""How much farther [rad] than the tool a joint turns, from one waypoint to the next, for that to be another posture."""


@dataclass(frozen=True, eq=False)
class PlacedLines:
    """Lines that are segment `segment` of the candidates `row`, shape (m,)."""

    row: IntArray
    segment: int
    lines: Lines


@dataclass(frozen=True, eq=False)
class Waypoints:
    """The waypoints of n candidates.

    Attributes:
        q: configurations, shape (n, W, dof) [rad].
        solved: which candidates have all that IK had to find, shape (n,).
        line: FOLLOWED, or what is wrong with the first line of each that could not be followed, shape (n,).
        placed: the lines, by segment.
    """

    q: FloatArray
    solved: BoolArray
    line: IntArray
    placed: tuple[PlacedLines, ...]

    @property
    def found(self) -> BoolArray:
        """Which candidates have all their waypoints, shape (n,)."""
        return np.asarray(self.solved & (self.line == FOLLOWED))


def changes_posture(candidates: Candidates, q: FloatArray) -> BoolArray:
    """Which candidates turn a joint far more than the tool turns, in one motion in joint space, shape (n,).

    Args:
        candidates: whose targets are poses.
        q: configurations of their waypoints, shape (n, W, dof).
    """
    rotation = candidates.targets.rotation
    assert rotation is not None
    turn = angle_between(rotation[:, :-1], rotation[:, 1:])
    farthest = np.abs(np.diff(q, axis=1)).max(2)
    used = np.arange(1, q.shape[1]) <= candidates.segments[:, None]
    freely = used & (candidates.arrival[:, 1:] == SOLVED)
    return np.asarray((freely & (farthest > turn + POSTURE_CHANGE)).any(1))


def find_waypoints(robot: RobotModel, candidates: Candidates, goal: Goal = "pose") -> Waypoints:
    """Configurations of all waypoints, at which the goal of their poses is reached.

    Poses drawn in a box are solved in order, each from the configuration before it, so that the arm goes on in the
    posture it has; poses near demonstrated ones from near the configurations of those. Poses of `reachable` may lie
    anywhere: each is solved from the nearest of the robot's table.
    """
    n, count = candidates.arrival.shape
    used = np.arange(count) <= candidates.segments[:, None]
    drawn = candidates.targets.q
    q = np.zeros((n, count, robot.dof)) if drawn is None else drawn.copy()
    solved, line = np.ones(n, np.bool_), np.full(n, FOLLOWED)
    placed = []
    wanted = used & (candidates.arrival == SOLVED)
    if drawn is not None:
        row, waypoint = np.nonzero(wanted)
        solution = ik.solve(robot, *candidates.targets.poses(robot, row, waypoint), goal=goal)
        q[row, waypoint] = solution.q
        solved[row[~solution.converged]] = False
    for k in range(count):
        going = used[:, k] & solved & (line == FOLLOWED)
        if drawn is None:
            _solve_from_near(robot, goal, candidates, np.flatnonzero(wanted[:, k] & going), k, q, solved)
        row = np.flatnonzero(going & (candidates.arrival[:, k] == LINE))
        if len(row):
            lines = _lines(robot, goal, candidates, row, k, q[row, k - 1])
            q[row, k], line[row] = lines.end, lines.verdict
            placed.append(PlacedLines(row, k - 1, lines))
        same = candidates.arrival[:, k] == SAME
        q[same, k] = q[same, k - 1]
    return Waypoints(q, solved, line, tuple(placed))


def _solve_from_near(
    robot: RobotModel, goal: Goal, candidates: Candidates, row: IntArray, k: int, q: FloatArray, solved: BoolArray
) -> None:
    """Solves the drawn poses of waypoint k from the configuration given for it, or from the waypoint before."""
    near = candidates.targets.near
    assert near is not None
    start = near[row, k] if k < near.shape[1] else q[row, k - 1]
    solution = ik.solve(robot, *candidates.targets.poses(robot, row, k), first_start=start, goal=goal)
    q[row, k] = solution.q
    solved[row] = solution.converged


def _lines(robot: RobotModel, goal: Goal, candidates: Candidates, row: IntArray, k: int, start: FloatArray) -> Lines:
    """Lines to the poses of waypoint k."""
    tool_speed = candidates.events.tool_speed
    lines = make_lines(
        robot,
        start,
        *candidates.targets.poses(robot, row, k),
        None if tool_speed is None else tool_speed[row, k - 1],
        candidates.speed_scale[row],
        goal,
    )
    duration = np.add.reduceat(lines.profiles.duration, lines.first[:-1])
    slower = slowdown(duration, candidates.events.time[row, k - 1])
    return dataclasses.replace(lines, profiles=lines.profiles.slowed(np.repeat(slower, np.diff(lines.first))))
