import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from services.catalogue import find_arm
from services.synthesis.arm.robot_model import pinocchio_pose, robot_model
from services.synthesis.draw.sampling import Candidates
from services.synthesis.motion.lines import LINE_ANGLE_TOLERANCE, LINE_TOLERANCE, TOOL_LIMITS, make_lines
from services.synthesis.motion.timing import PathTimer, Profiles
from services.synthesis.pipeline import synthesize
from services.synthesis.request.families import LINE
from services.synthesis.request.goals import Goal
from services.synthesis.solve.line_knots import (
    AT_LIMIT,
    DEVIATING,
    FOLLOWED,
    LONGEST_STEP,
    SINGULAR,
    UNREACHABLE,
    make_scratch,
    next_knot,
)
from shared.errors import SynthesisError
from shared.rotation import geodesic_angle, matrix_to_rotvec, rotvec_to_matrix
from tests.services.synthesis.examples import (
    LINES,
    accepted_candidates,
    panda,
    parse,
    random_configurations,
    shard,
    whole,
)
from tests.services.synthesis.pieces import FineRow, fine_rows

FloatArray = NDArray[np.float64]


def _drawn(name: str) -> tuple[Candidates, list[FineRow]]:
    """The accepted candidates of an example, and their motions."""
    request, rows = shard(name)
    return accepted_candidates(request, rows), fine_rows(rows, points=5)


def _deviation(poses: list[tuple[FloatArray, FloatArray]], position: FloatArray, rotation: FloatArray) -> FloatArray:
    """Greatest distance and angle of a tool's poses from the straight line from the first to the given one."""
    (p0, r0), shift = poses[0], position - poses[0][0]
    turn = matrix_to_rotvec(rotation @ r0.T)
    worst = np.zeros(2)
    for p, r in poses:
        share = np.clip((p - p0) @ shift / (shift @ shift), 0, 1)
        angle = geodesic_angle(rotvec_to_matrix(share * turn) @ r0, r)
        worst = np.maximum(worst, [float(np.linalg.norm(p - p0 - share * shift)), float(angle)])
    return worst


@pytest.mark.parametrize("name", ["lines", "places"])
def test_the_tool_stays_on_the_line_at_every_moment(name: str) -> None:
    drawn, rows = _drawn(name)
    assert drawn.targets.position is not None
    assert drawn.targets.rotation is not None
    checked = 0
    for i, row in list(enumerate(rows))[::5]:
        rests = np.flatnonzero(np.abs(row.qd).max(axis=1) < 1e-9)
        moving = np.split(np.arange(len(row.t)), rests)
        motions = [part for part in moving if len(part) > 8]
        assert len(motions) == drawn.segments[i]
        for k, part in enumerate(motions):
            if drawn.arrival[i, k + 1] == LINE:
                poses = [pinocchio_pose(panda(), q) for q in row.q[part][::4]]
                poses = [(pose.translation, pose.rotation) for pose in poses]
                worst = _deviation(poses, drawn.targets.position[i, k + 1], drawn.targets.rotation[i, k + 1])
                assert worst[0] < LINE_TOLERANCE
                assert worst[1] < LINE_ANGLE_TOLERANCE
                checked += 1
    assert checked > 15


def _random_lines(n: int, seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Configurations around home, and poses near theirs."""
    rng, limits = np.random.default_rng(seed), panda().planning_limits
    q = np.clip(panda().home + 0.3 * rng.normal(size=(n, 7)), limits.lower, limits.upper)
    position, rotation = panda().tool_poses(q)
    shift, turn = rng.normal(size=(2, n, 3))
    shift *= rng.uniform(0.02, 0.3, (n, 1)) / np.linalg.norm(shift, axis=1, keepdims=True)
    turn *= rng.uniform(0, 0.8, (n, 1)) / np.linalg.norm(turn, axis=1, keepdims=True)
    return q, position + shift, rotvec_to_matrix(turn) @ rotation


def test_lines_do_not_depend_on_those_beside_them_and_most_can_be_followed() -> None:
    q, position, rotation = _random_lines(120, seed=0)
    speed, scale = np.linspace(0.05, 0.5, 120), np.linspace(0.1, 1.0, 120)
    together = make_lines(panda(), q, position, rotation, speed, scale)
    assert (together.verdict == FOLLOWED).mean() > 0.85
    for some in (slice(3, 4), slice(50, 90)):
        alone = make_lines(panda(), q[some], position[some], rotation[some], speed[some], scale[some])
        own = slice(together.first[some.start], together.first[some.stop])
        for field in dataclasses.fields(alone.profiles):
            expected = getattr(together.profiles, field.name)[own]
            assert np.array_equal(getattr(alone.profiles, field.name), expected)
        assert np.array_equal(alone.verdict, together.verdict[some])
    reached, turned = panda().tool_poses(together.end)
    good = together.verdict == FOLLOWED
    assert np.linalg.norm(reached - position, axis=1)[good].max() < 1e-7
    assert geodesic_angle(turned, rotation)[good].max() < 1e-7


def test_a_line_keeps_the_tools_limits_and_the_mean_speed_asked_for() -> None:
    q, position, rotation = _random_lines(60, seed=1)
    start, _ = panda().tool_poses(q)
    length = np.linalg.norm(position - start, axis=1)
    free = make_lines(panda(), q, position, rotation, None, np.ones(60))
    slow = make_lines(panda(), q, position, rotation, np.full(60, 0.1), np.ones(60))
    for lines, fastest in ((free, TOOL_LIMITS[0, 0]), (slow, 0.1)):
        lasts = np.add.reduceat(lines.profiles.duration, lines.first[:-1])
        assert (length / lasts <= fastest * (1 + 1e-9)).all()
    half = make_lines(panda(), q, position, rotation, None, np.full(60, 0.5))
    np.testing.assert_allclose(half.profiles.duration, 2 * free.profiles.duration, rtol=1e-12)
    # The jerk of a tool on a line alone sets how short it can be: 32 distances for each jerk and cubed time.
    short = (length < 0.05) & (free.verdict == FOLLOWED)
    lasts = np.add.reduceat(free.profiles.duration, free.first[:-1])
    assert (lasts >= np.cbrt(32 * length / TOOL_LIMITS[0, 2]) * (1 - 1e-9)).all()
    assert short.any()


def test_lines_that_cannot_be_followed_say_why() -> None:
    home, limits = panda().home[None], panda().planning_limits
    position, _ = panda().tool_poses(home)
    turned = home.copy()
    turned[0, 6] = limits.upper[6] - 0.1

    def verdict(q: FloatArray, shift: list[float], turn: list[float]) -> int:
        p, r = panda().tool_poses(q)
        made = make_lines(panda(), q, p + shift, rotvec_to_matrix(np.array([turn])) @ r, None, np.ones(1))
        assert made.verdict[0] == FOLLOWED or np.array_equal(made.end, q)
        return int(made.verdict[0])

    assert verdict(home, [0.1, 0.0, -0.1], [0.0, 0.0, 0.3]) == FOLLOWED
    assert verdict(home, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]) == FOLLOWED
    assert verdict(home, [0.0, 0.0, 0.0], [0.0, 0.4, 0.0]) == FOLLOWED
    assert verdict(home, [1.5, 0.0, 0.0], [0.0, 0.0, 0.0]) in (UNREACHABLE, SINGULAR)
    assert verdict(turned, [0.0, 0.0, 0.0], [0.0, 0.0, -1.5]) == AT_LIMIT
    # Past the base's axis, where the first joint would have to turn at once.
    assert verdict(home, [-2 * float(position[0, 0]), 0.05, 0.0], [0.0, 0.0, 0.0]) != FOLLOWED


def test_lines_that_leave_theirs_between_knots_are_refused_and_no_others() -> None:
    """Near singularities the tool bends between the configurations that IK finds on the line."""
    rng = np.random.default_rng(2)
    q = random_configurations(1500, seed=2)
    position, rotation = panda().tool_poses(q)
    shift, turn = rng.normal(size=(2, len(q), 3))
    shift *= rng.uniform(0.02, 0.3, (len(q), 1)) / np.linalg.norm(shift, axis=1, keepdims=True)
    turn *= rng.uniform(0, 0.8, (len(q), 1)) / np.linalg.norm(turn, axis=1, keepdims=True)
    made = make_lines(panda(), q, position + shift, rotvec_to_matrix(turn) @ rotation, None, np.ones(len(q)))
    worst = np.zeros((len(q), 2))
    of = np.repeat(np.arange(len(q)), np.diff(made.first))
    for here in _within(made.profiles, 4):
        p, r = panda().tool_poses(here)
        since = p - position[of]
        share = np.clip((since * shift[of]).sum(1) / (shift[of] ** 2).sum(1), 0, 1)[:, None]
        distance = np.linalg.norm(since - share * shift[of], axis=1)
        angle = geodesic_angle(rotvec_to_matrix(share * turn[of]) @ rotation[of], r)
        np.maximum.at(worst, of, np.stack([distance / LINE_TOLERANCE, angle / LINE_ANGLE_TOLERANCE], axis=1))
    followed, bent = made.verdict == FOLLOWED, made.verdict == DEVIATING
    assert followed.sum() > 600
    assert worst[followed].max() < 1.0
    assert bent.sum() > 20
    assert worst[bent].max(1).min() > 0.75
    # Some leave it by their rotation alone, and some by their position.
    assert ((worst[bent] > 1.0) == [True, False]).all(1).any()
    assert ((worst[bent] > 1.0) == [False, True]).all(1).any()


def _within(profiles: Profiles, points: int) -> Iterator[FloatArray]:
    """Configurations (S, dof) at moments within each piece of all segments, by Taylor's formula."""
    q, v, a = profiles.start, profiles.velocity, profiles.acceleration
    for piece in range(7):
        h, j = profiles.time[..., piece], profiles.jerk[..., piece]
        for k in range(points):
            t = h * k / points
            yield q + t * (v + t * (a / 2 + t * j / 6))
        q, v, a = q + h * (v + h * (a / 2 + h * j / 6)), v + h * (a + h * j / 2), a + h * j


def test_a_joint_that_jumps_from_knot_to_knot_is_too_near_a_singularity() -> None:
    assert LONGEST_STEP == 0.25
    robot = robot_model(find_arm("ur5"))
    limits, home = robot.planning_limits, robot.home
    for turn, verdict in ((0.24, FOLLOWED), (0.26, SINGULAR), (-0.24, FOLLOWED), (-0.26, SINGULAR)):
        for joint in range(6):
            # Of six joints there is one configuration near this one.
            goal = home + turn * (np.arange(6) == joint)
            position, rotation = (poses[0] for poses in robot.tool_poses(goal[None]))
            after, scratch = np.empty(6), make_scratch(6)
            pose = position, rotation.reshape(9)
            found = next_knot(robot.chain, limits.lower, limits.upper, *pose, 0, home, after, scratch)
            np.testing.assert_allclose(after, goal, atol=1e-6)
            assert found == verdict


def test_a_line_is_as_slow_as_the_joints_need_and_no_slower() -> None:
    q, position, rotation = _random_lines(200, seed=3)
    full, half = (make_lines(panda(), q, position, rotation, None, np.full(200, scale)) for scale in (1.0, 0.5))
    limits, kept = panda().planning_limits, np.repeat(full.verdict == FOLLOWED, np.diff(full.first))
    profiles = full.profiles
    # Of some line a joint's velocity, and its acceleration, is as great as it may be.
    assert 0.99 < np.abs(profiles.velocity[kept] / limits.velocity).max() <= 1 + 1e-9
    assert 0.9999 < np.abs(profiles.acceleration[kept] / limits.acceleration).max() <= 1 + 1e-9
    assert np.abs(profiles.jerk[kept] / limits.jerk[:, None]).max() <= 1 + 1e-9
    np.testing.assert_allclose(half.profiles.jerk, profiles.jerk / 8, rtol=1e-9)


def test_a_path_timer_keeps_its_limits() -> None:
    limits = np.array([[1.0, 5.0, 50.0], [0.3, 4.0, 20.0], [1e3, 1e4, 1e5]])
    time, jerk, duration = PathTimer().profiles(limits, np.array([0.0, 0.0, 0.5]))
    assert duration[2] == pytest.approx(0.5, abs=1e-9)
    for i in range(3):
        q = v = a = 0.0
        for t, j in zip(time[i], jerk[i], strict=True):
            q, v, a = q + v * t + a * t**2 / 2 + j * t**3 / 6, v + a * t + j * t**2 / 2, a + j * t
            assert abs(v) <= limits[i, 0] * (1 + 1e-9)
            assert abs(a) <= limits[i, 1] * (1 + 1e-9)
            assert abs(j) <= limits[i, 2] * (1 + 1e-9)
        np.testing.assert_allclose([q, v, a], [1, 0, 0], atol=1e-8)


@pytest.mark.parametrize("goal", ["position_axis", "position"])
def test_a_goal_that_leaves_turns_free_is_reached_along_the_whole_line(goal: Goal) -> None:
    robot = robot_model(find_arm("so101" if goal == "position" else "ur5"))
    rng, limits = np.random.default_rng(2), robot.planning_limits
    q = np.clip(robot.home + 0.2 * rng.normal(size=(40, robot.dof)), limits.lower, limits.upper)
    start, rotation = robot.tool_poses(q)
    position = start + 0.05 * rng.normal(size=(40, 3)) / np.sqrt(3)
    target = rotvec_to_matrix(0.3 * rng.normal(size=(40, 3))) @ rotation
    lines = make_lines(robot, q, position, target, None, np.ones(40), goal)
    good = np.flatnonzero(lines.verdict == FOLLOWED)
    assert len(good) > 25
    for i in good:
        for segment in range(lines.first[i], lines.first[i + 1]):
            here, _ = robot.tool_poses(lines.profiles.start[segment : segment + 1])
            shift, since = position[i] - start[i], here[0] - start[i]
            assert np.linalg.norm(np.cross(shift, since)) / np.linalg.norm(shift) < LINE_TOLERANCE
    reached, turned = robot.tool_poses(lines.end[good])
    assert np.linalg.norm(reached - position[good], axis=1).max() < 1e-7
    axes = (turned[:, :, 2] * target[good][:, :, 2]).sum(1)
    if goal == "position_axis":
        assert np.arccos(np.clip(axes, -1, 1)).max() < 1e-6


def test_lines_that_no_candidate_can_follow_stop_the_request_with_advice() -> None:
    poses = [{"position": [x, 0.0, 0.4], "quat_xyzw": [1, 0, 0, 0]} for x in (0.5, -0.5)]
    body = {**LINES, "workspace": {"kind": "poses", "poses": poses}, "count": 2100}
    with pytest.raises(SynthesisError, match="straight lines") as caught:
        synthesize(whole(parse(body)))
    assert caught.value.attempts < 4000
    assert set(caught.value.rejections) <= {"line_unreachable", "line_singular", "line_joint_limit", "unreachable"}


def test_a_path_timer_knows_lengths_at_which_the_greatest_acceleration_is_only_just_reached() -> None:
    """Ruckig gives up on some of these, within rounding of 2 a^3 / j^2."""
    length = 0.1 * (1 + 1e-16 * np.arange(-40, 41))
    _, _, duration = PathTimer().profiles(np.array([1.0, 5.0, 50.0]) / length[:, None], np.zeros(len(length)))
    assert np.abs(duration - 0.4).max() < 1e-6
