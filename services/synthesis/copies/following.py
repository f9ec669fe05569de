"""Motions of the joints along copied tool poses: IK from knot to knot, and a cubic spline through its answers."""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.kinematics import Chain
from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.compiled import compiled
from services.synthesis.motion.splines import fit_splines
from services.synthesis.motion.timing import PIECES, Profiles
from services.synthesis.numerics.elementary import cube_root, cube_roots
from services.synthesis.numerics.offsets import offsets
from services.synthesis.request.goals import GOALS, Goal
from services.synthesis.solve import ik
from services.synthesis.solve.line_knots import FOLLOWED, SINGULAR, UNREACHABLE, make_scratch, next_knot

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

GREATEST_SLOWDOWN = 2.0
"""How many times slower than demonstrated a copy may have to be for the sake of the joints' limits."""
_SHORTER = 1e-9
"""Share by which knots are nearer to each other in time than the demonstration's steps: a copy then ends just before
its last sample, not just after it by rounding."""


def follow_poses(
    robot: RobotModel, goal: Goal, first: IntArray, position: FloatArray, rotation: FloatArray
) -> tuple[FloatArray, IntArray]:
    """Configurations (K, dof) at the poses of n copies, and whether each could be followed, FOLLOWED or why not, (n,).

    Args:
        robot: the arm.
        goal: how much of the poses is to be reached.
        first: first knot of each copy, and K, shape (n + 1,).
        position: of the tool at each knot, shape (K, 3) [m].
        rotation: likewise, row by row, shape (K, 9).
    """
    begins = first[:-1]
    home = np.repeat(robot.home[None], len(begins), axis=0)
    start = ik.solve(robot, position[begins], rotation[begins].reshape(-1, 3, 3), first_start=home, goal=goal)
    q = np.empty((len(position), robot.dof))
    q[begins] = start.q
    limits = robot.planning_limits
    verdicts = _follow(
        robot.chain, limits.lower, limits.upper, GOALS.index(goal), first, position, rotation, start.converged, q
    )
    return q, verdicts


@compiled
def _follow(
    chain: Chain,
    lower: FloatArray,
    upper: FloatArray,
    goal: int,
    first: IntArray,
    position: FloatArray,
    rotation: FloatArray,
    begun: NDArray[np.bool_],
    q: FloatArray,
) -> IntArray:
    dof = q.shape[1]
    verdicts = np.zeros(begun.size, np.int64)
    scratch = make_scratch(dof)
    for i in range(begun.size):
        verdicts[i] = FOLLOWED if begun[i] else UNREACHABLE
        for k in range(first[i] + 1, first[i + 1]):
            if verdicts[i] == FOLLOWED:
                verdicts[i] = next_knot(chain, lower, upper, position[k], rotation[k], goal, q[k - 1], q[k], scratch)
            else:
                for j in range(dof):
                    q[k, j] = q[k - 1, j]
    return verdicts


def through_knots(
    robot: RobotModel, first_knot: IntArray, q: FloatArray, rate_hz: float, verdicts: IntArray
) -> tuple[IntArray, Profiles, FloatArray]:
    """Splines through the knots of n copies at the demonstration's pace, or slower where a limit asks for it.

    Args:
        robot: the arm.
        first_knot: first knot of each copy, and K, shape (n + 1,).
        q: configurations, shape (K, dof); the second and the last but one of each copy are replaced.
        rate_hz: knots in a second.
        verdicts: SINGULAR is put where a copy would have to be slower than GREATEST_SLOWDOWN, shape (n,).

    Returns:
        First segment of each copy (n + 1,), the profiles, and the time between the knots of each copy (n,) [s].
    """
    intervals = np.diff(first_knot) - 1
    first = offsets(-(-intervals // PIECES))
    step = np.full(len(intervals), (1 - _SHORTER) / rate_hz)
    profiles, peaks = _splines(first, first_knot, q, step)
    limits = robot.planning_limits
    ratio = peaks / np.stack([limits.velocity, limits.acceleration, limits.jerk], axis=1)
    # Played k times slower, velocities are divided by k, accelerations by k^2 and jerks by k^3.
    slowdown = np.maximum(np.stack([ratio[..., 0], np.sqrt(ratio[..., 1]), cube_roots(ratio[..., 2])]).max((0, 2)), 1.0)
    verdicts[(verdicts == FOLLOWED) & ~(slowdown <= GREATEST_SLOWDOWN)] = SINGULAR
    slowdown = np.minimum(slowdown * np.where(slowdown > 1, 1 + 1e-9, 1.0), GREATEST_SLOWDOWN)
    if (slowdown > 1).any():
        profiles = profiles.slowed(np.repeat(slowdown, np.diff(first)))
    return first, profiles, step * slowdown


def _splines(first: IntArray, first_knot: IntArray, q: FloatArray, step: FloatArray) -> tuple[Profiles, FloatArray]:
    """Splines through knots as profiles, and each joint's greatest velocity, acceleration and jerk, (n, dof, 3)."""
    segments, n, dof = int(first[-1]), len(step), q.shape[1]
    start, velocity, acceleration = (np.empty((segments, dof)) for _ in range(3))
    time, jerk = np.empty((segments, dof, PIECES)), np.empty((segments, dof, PIECES))
    middle, peaks = np.empty((len(q) - n, dof)), np.empty((n, dof, 3))
    fit_splines(first, first_knot, step, q, start, velocity, acceleration, time, jerk, middle, peaks)
    return Profiles(start, velocity, acceleration, time, jerk, time[:, 0].sum(1)), peaks


def slowdown_needed(robot: RobotModel, first_knot: IntArray, q: FloatArray, rate_hz: float) -> FloatArray:
    """How many times slower each interval between knots must be for the limits, shape (K - n,); arguments as above,
    but that nothing is replaced."""
    intervals = np.diff(first_knot) - 1
    first = offsets(-(-intervals // PIECES))
    profiles, _ = _splines(first, first_knot, q.copy(), np.full(len(intervals), 1 / rate_hz))
    limits = robot.planning_limits
    need = np.empty(len(q) - len(intervals))
    _needed(
        first,
        first_knot,
        profiles.velocity,
        profiles.acceleration,
        profiles.time,
        profiles.jerk,
        limits.velocity,
        limits.acceleration,
        limits.jerk,
        need,
    )
    return need


@compiled
def _needed(
    first: IntArray,
    first_knot: IntArray,
    velocity: FloatArray,
    acceleration: FloatArray,
    time: FloatArray,
    jerk: FloatArray,
    most_velocity: FloatArray,
    most_acceleration: FloatArray,
    most_jerk: FloatArray,
    need: FloatArray,
) -> None:
    for i in range(first.size - 1):
        begins, intervals = first_knot[i] - i, first_knot[i + 1] - first_knot[i] - 1
        for k in range(intervals):
            need[begins + k] = 0.0
        for joint in range(velocity.shape[1]):
            for segment in range(first[i], first[i + 1]):
                v, a = velocity[segment, joint], acceleration[segment, joint]
                for piece in range(7):
                    k = 7 * (segment - first[i]) + piece
                    if k >= intervals:
                        break
                    h, j = time[segment, joint, piece], jerk[segment, joint, piece]
                    v_after, a_after = v + h * (a + h * j / 2.0), a + h * j
                    fast = max(abs(v), abs(v_after)) / most_velocity[joint]
                    strong = np.sqrt(max(abs(a), abs(a_after)) / most_acceleration[joint])
                    sudden = cube_root(abs(j) / most_jerk[joint])
                    need[begins + k] = max(need[begins + k], fast, strong, sudden)
                    v, a = v_after, a_after
