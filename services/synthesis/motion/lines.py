"""Straight lines of the tool, its rotation turning along (slerp), as motions of the joints within their limits.

A path coordinate runs from 0 to 1 by a Ruckig profile that keeps the tool's limits. At equal times along it IK finds a
configuration, each from the one before, and a cubic spline through these is the motion of the joints: it has pieces
of constant jerk like every other. It is then slowed until each joint keeps its limits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.motion.profiles import sample_one
from services.synthesis.motion.splines import fit_splines
from services.synthesis.motion.timing import PIECES, PathTimer, Profiles
from services.synthesis.numerics.elementary import angles_of, cube_roots
from services.synthesis.numerics.offsets import offsets, within_runs
from services.synthesis.numerics.rotations import lengths, product, to_rotvec
from services.synthesis.request.goals import GOALS, Goal
from services.synthesis.solve.line_knots import DEVIATING, FOLLOWED, SINGULAR, follow
from shared.robots import JointLimits

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TOOL_LIMITS = np.array([[1.0, 5.0, 50.0], [2.5, 12.5, 125.0]])
"""Velocity, acceleration and jerk of a tool on a line at full speed, along it [m/s, m/s^2, m/s^3] and about it
[rad/s, ...]: some half of the Cartesian velocities that arms are sold with, reached in 0.3 s."""
KNOT_DISTANCE, KNOT_ANGLE = 0.015, 0.08
"""How far the tool moves [m] and turns [rad] from knot to knot where it is fastest."""
LEAST_SEGMENTS = 2
"""Segments of seven intervals between knots that a line has at least."""
LINE_TOLERANCE, LINE_ANGLE_TOLERANCE = 1e-4, 1e-3
"""How far the tool may be from the line [m], and from the rotation that belongs there [rad]."""
_CHECK = 0.8
"""Share of the tolerances allowed halfway between knots; the tool may be a tenth farther off elsewhere."""
GREATEST_SLOWDOWN = 10.0
"""How many times slower than its tool's limits allow a line may have to be for the sake of the joints' limits."""


@dataclass(frozen=True, eq=False)
class Paths:
    """m straight paths of the tool, in the base frame.

    Attributes:
        position: where each begins, shape (m, 3) [m].
        rotation: likewise, shape (m, 3, 3).
        shift: from there to its end, shape (m, 3) [m].
        turn: rotation vector from there to its end, shape (m, 3) [rad].
    """

    position: FloatArray
    rotation: FloatArray
    shift: FloatArray
    turn: FloatArray


@dataclass(frozen=True, eq=False)
class Lines:
    """m lines. Each is a row of segments from rest to rest.

    Attributes:
        first: first segment of each line, and the number of segments, shape (m + 1,).
        profiles: of the segments.
        end: configurations at the ends, shape (m, dof) [rad].
        verdict: whether each could be followed, FOLLOWED, or why not, shape (m,). Of those that could not be, the
            rest means nothing.
    """

    first: IntArray
    profiles: Profiles
    end: FloatArray
    verdict: IntArray

    def take(self, lines: IntArray) -> "Lines":
        """The named lines, in the order given."""
        counts = np.diff(self.first)[lines]
        first = offsets(counts)
        segments = np.repeat(self.first[lines], counts) + within_runs(first)
        return Lines(first, self.profiles.take(segments), self.end[lines], self.verdict[lines])


def make_lines(
    robot: RobotModel,
    q: FloatArray,
    target_position: FloatArray,
    target_rotation: FloatArray,
    tool_speed: FloatArray | None,
    speed_scale: FloatArray,
    goal: Goal = "pose",
) -> Lines:
    """Lines from configurations to tool poses.

    Args:
        robot: the arm.
        q: where they begin, shape (m, dof) [rad].
        target_position: where they end, shape (m, 3) [m].
        target_rotation: likewise, shape (m, 3, 3).
        tool_speed: greatest mean speed of the tool, shape (m,) [m/s], or None for what its limits allow.
        speed_scale: time dilation of each, shape (m,).
        goal: how much of the poses on the line is to be reached. For the tool's axis, it turns the shortest way.
    """
    position, rotation = robot.tool_poses(q)
    paths = Paths(position, rotation, target_position - position, _turn(goal, rotation, target_rotation))
    first, step, share = _knots_in_time(paths, tool_speed, speed_scale)
    knots, verdict = _follow(robot, paths, goal, q, first, share)
    end = knots[PIECES * first[1:] + np.arange(len(q))]
    profiles, middle, slowdown = _through_knots(first, step, knots, robot.planning_limits)
    verdict[(verdict == FOLLOWED) & (slowdown > GREATEST_SLOWDOWN)] = SINGULAR
    verdict[(verdict == FOLLOWED) & _strays(paths, goal, first, *robot.tool_poses(middle))] = DEVIATING
    return Lines(first, profiles.slowed(np.repeat(slowdown / speed_scale, np.diff(first))), end, verdict)


def _knots_in_time(
    paths: Paths, tool_speed: FloatArray | None, speed_scale: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Times paths at full speed: first segment of each (m + 1,), time between its knots (m,), and share of the path
    behind each knot (K,)."""
    size = np.stack([lengths(paths.shift), lengths(paths.turn)], axis=1)
    # A tool that goes nowhere is timed as if it went a millimetre.
    limits = (TOOL_LIMITS / np.maximum(size, 1e-3)[..., None]).min(1)
    shortest = np.zeros(len(size)) if tool_speed is None else size[:, 0] / tool_speed * speed_scale
    time, jerk, duration = PathTimer().profiles(limits, shortest)
    # The coordinate is fastest after three pieces; three more mirror them.
    gained = np.cumsum(jerk * time, axis=1)
    fastest = (time[:, :3] * (gained[:, :3] - jerk[:, :3] * time[:, :3] / 2)).sum(1)
    steps = fastest * duration * (size / [KNOT_DISTANCE, KNOT_ANGLE]).max(1)
    segments = np.maximum(np.ceil(steps / PIECES), LEAST_SEGMENTS).astype(np.int64)
    first = offsets(segments)
    first_knot = PIECES * first + np.arange(len(first))
    step = duration / (PIECES * segments)
    share = np.empty(first_knot[-1])
    sample_one(time, jerk, step, first_knot, share)
    share[first_knot[1:] - 1] = 1.0
    return first, step, share


def _turn(goal: Goal, rotation: FloatArray, target: FloatArray) -> FloatArray:
    """Rotation vectors (m, 3) [rad], in the base frame, that turn what the goal asks for to the target."""
    if goal == "pose":
        return to_rotvec(product(target, np.swapaxes(rotation, 1, 2)))
    if goal == "position":
        return np.zeros((len(rotation), 3))
    axis, towards = rotation[:, :, 2], target[:, :, 2]
    normal = np.cross(axis, towards)
    sine = lengths(normal)
    angle = angles_of(sine, (axis * towards).sum(1))
    return np.asarray(normal * np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 1.0)[:, None])


def _follow(
    robot: RobotModel, paths: Paths, goal: Goal, q: FloatArray, first: IntArray, share: FloatArray
) -> tuple[FloatArray, IntArray]:
    """Configurations at all knots (K, dof), and which lines could be followed, (m,)."""
    first_knot = PIECES * first + np.arange(len(first))
    knots = np.empty((len(share), robot.dof))
    knots[first_knot[:-1]] = q
    verdict = follow(
        robot.chain,
        robot.planning_limits.lower,
        robot.planning_limits.upper,
        paths.position,
        np.ascontiguousarray(paths.rotation.reshape(-1, 9)),
        paths.shift,
        paths.turn,
        GOALS.index(goal),
        share,
        first_knot,
        knots,
    )
    return knots, verdict


def _through_knots(
    first: IntArray, step: FloatArray, knots: FloatArray, limits: JointLimits
) -> tuple[Profiles, FloatArray, FloatArray]:
    """Splines through the knots at full speed, configurations halfway between knots, and how many times slower each
    line must be for the limits, shape (m,)."""
    segments, dof = int(first[-1]), knots.shape[1]
    start, velocity, acceleration = (np.empty((segments, dof)) for _ in range(3))
    jerk, middle = np.empty((segments, dof, PIECES)), np.empty((PIECES * segments, dof))
    peaks = np.empty((len(step), dof, 3))
    time = np.empty_like(jerk)
    first_knot = PIECES * first + np.arange(len(first))
    fit_splines(first, first_knot, step, knots, start, velocity, acceleration, time, jerk, middle, peaks)
    ratio = peaks / np.stack([limits.velocity, limits.acceleration, limits.jerk], axis=1)
    # Played k times slower, velocities are divided by k, accelerations by k^2 and jerks by k^3.
    roots = np.stack([ratio[..., 0], np.sqrt(ratio[..., 1]), cube_roots(ratio[..., 2])])
    slowdown = np.maximum(roots.max((0, 2)), 1.0)
    between = np.repeat(step, np.diff(first))
    return Profiles(start, velocity, acceleration, time, jerk, PIECES * between), middle, slowdown


def _strays(paths: Paths, goal: Goal, first: IntArray, position: FloatArray, rotation: FloatArray) -> NDArray[np.bool_]:
    """Which lines the tool leaves, shape (m,), at poses halfway between the knots."""
    of = np.repeat(np.arange(len(paths.shift)), PIECES * np.diff(first))
    shift, turn, since = paths.shift[of], paths.turn[of], position - paths.position[of]
    turned = _turn(goal, paths.rotation[of], rotation)
    # The share of the line at which the tool is nearest, by its position where the line has some length.
    moves = lengths(shift) > 1e-3
    along, whole = np.where(moves[:, None], since, turned), np.where(moves[:, None], shift, turn)
    share = np.clip((along * whole).sum(1) / np.maximum((whole * whole).sum(1), 1e-12), 0, 1)[:, None]
    distance = lengths(since - share * shift)
    # Never less than the angle between the two rotations, or axes, and the same where it is small.
    angle = lengths(turned - share * turn)
    bad = ~((distance <= _CHECK * LINE_TOLERANCE) & (angle <= _CHECK * LINE_ANGLE_TOLERANCE))
    return np.bincount(of, bad, len(paths.shift)) > 0
