import numpy as np

from services.synthesis.draw.arrangements import APPROACH, LINE_LENGTH, LINE_TURN
from services.synthesis.draw.events import GRASP_SECONDS, HOLD_SECONDS, LONGEST_DWELL
from services.synthesis.draw.sampling import draw_candidates
from services.synthesis.draw.targets import HOME_SPREAD
from services.synthesis.request.families import (
    ABOVE_PICK,
    ABOVE_PLACE,
    LIFTED,
    PICK,
    PLACE,
    RETREATED,
    SAME,
    WAYPOINT_FAMILIES,
    is_family,
)
from shared.rotation import geodesic_angle
from tests.services.synthesis.examples import JOINT_SPACE, TABLE, panda, parse


def test_box_poses_lie_in_the_box_and_the_cone() -> None:
    request = parse(TABLE)
    drawn = draw_candidates(request, panda(), np.arange(2000), np.zeros(2000, np.int64))
    assert drawn.targets.position is not None
    assert drawn.targets.rotation is not None
    used = np.arange(drawn.arrival.shape[1]) <= drawn.segments[:, None]
    position, rotation = drawn.targets.position[used], drawn.targets.rotation[used]
    assert (position >= [0.3, -0.3, -0.1]).all()
    assert (position <= [0.75, 0.3, 0.3]).all()
    np.testing.assert_allclose(
        rotation @ np.swapaxes(rotation, 1, 2), np.tile(np.eye(3), (len(rotation), 1, 1)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-12)
    tilt = np.rad2deg(np.arccos(-rotation[:, 2, 2]))
    assert tilt.max() <= 30 + 1e-9
    # Uniform on the spherical cap: half of it lies within acos((1 + cos 30) / 2) = 21.1 degrees.
    assert abs(np.mean(tilt < 21.09) - 0.5) < 0.02
    yaw = np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])
    assert np.histogram(yaw, bins=8, range=(-np.pi, np.pi))[0].min() > len(yaw) / 8 * 0.85


def test_each_candidate_depends_on_its_own_id_and_attempt_only() -> None:
    request = parse(JOINT_SPACE)
    together = draw_candidates(request, panda(), np.arange(50), np.zeros(50, np.int64))
    assert together.targets.q is not None
    for i in range(0, 50, 9):
        alone = draw_candidates(request, panda(), np.array([i]), np.array([0]))
        assert alone.targets.q is not None
        used = int(alone.segments[0])
        assert np.array_equal(alone.targets.q[0], together.targets.q[i, : used + 1])
        assert np.array_equal(alone.events.dwell[0], together.events.dwell[i, :used])
    again = draw_candidates(request, panda(), np.arange(50), np.ones(50, np.int64))
    assert again.targets.q is not None
    assert not np.array_equal(again.targets.q[0], together.targets.q[0])


def test_draws_follow_the_request() -> None:
    request = parse(JOINT_SPACE, families={"point_to_point": 1, "via_points": 3}, speed_scale=[0.2, 0.4])
    drawn = draw_candidates(request, panda(), np.arange(4000), np.zeros(4000, np.int64))
    via = is_family(drawn.family, "via_points")
    assert abs(via.mean() - 0.75) < 0.03
    assert set(drawn.segments[~via]) == {1}
    assert set(drawn.segments[via]) == {2, 3, 4, 5}
    assert 0.2 <= drawn.speed_scale.min() < 0.21 < 0.39 < drawn.speed_scale.max() <= 0.4
    assert drawn.events.dwell.max() <= LONGEST_DWELL
    assert drawn.events.tool_speed is None
    limits = panda().planning_limits
    assert drawn.targets.q is not None
    assert ((drawn.targets.q >= limits.lower) & (drawn.targets.q <= limits.upper)).all()


def test_a_hold_stays_where_it_is_for_drawn_times() -> None:
    for body in (JOINT_SPACE, TABLE):
        request = parse(body, families={"hold": 1, "point_to_point": 1})
        drawn = draw_candidates(request, panda(), np.arange(2000), np.zeros(2000, np.int64))
        hold = is_family(drawn.family, "hold")
        assert abs(hold.mean() - 0.5) < 0.03
        assert set(drawn.segments[hold]) == {2, 3, 4}
        assert (drawn.arrival[hold, 1:] == SAME).all()
        assert not (drawn.arrival[~hold, 1] == SAME).any()
        seconds = drawn.events.time[hold]
        low, high = HOLD_SECONDS
        assert low <= seconds.min() < low + 0.05 < high - 0.05 < seconds.max() <= high


def test_families_of_weight_zero_are_never_drawn_and_new_ones_change_no_old_draw() -> None:
    ids, attempts = np.arange(3000), np.zeros(3000, np.int64)
    old = draw_candidates(parse(JOINT_SPACE), panda(), ids, attempts)
    spelled = dict.fromkeys(WAYPOINT_FAMILIES, 0.0) | {"point_to_point": 2.0, "via_points": 2.0}
    new = draw_candidates(parse(JOINT_SPACE, families=spelled), panda(), ids, attempts)
    assert np.array_equal(old.family, new.family)
    assert np.array_equal(old.events.gripper, new.events.gripper)


def test_lines_from_configurations_end_near_and_things_are_placed_straight_ahead() -> None:
    for workspace in ({"kind": "joint_space"}, {"kind": "reachable"}):
        request = parse(JOINT_SPACE, workspace=workspace, families={"cartesian_line": 1, "pick_and_place": 1})
        drawn = draw_candidates(request, panda(), np.arange(600), np.zeros(600, np.int64))
        targets = drawn.targets
        assert targets.q is not None
        assert targets.position is not None
        assert targets.rotation is not None
        position, rotation = panda().tool_poses(targets.q[:, 0])
        np.testing.assert_array_equal(targets.position[:, 0], position)
        np.testing.assert_array_equal(targets.rotation[:, 0], rotation)
        line = is_family(drawn.family, "cartesian_line")
        step = np.linalg.norm(np.diff(targets.position[line, :4], axis=1), axis=2)
        assert step.min() >= LINE_LENGTH[0] - 1e-12
        assert step.max() <= LINE_LENGTH[1] + 1e-12
        turn = geodesic_angle(targets.rotation[line, 1:4], targets.rotation[line, :3])
        assert 0.95 * LINE_TURN < turn.max() <= LINE_TURN + 1e-9
        place, rotation = targets.position[~line], targets.rotation[~line]
        for above, at, after in ((ABOVE_PICK, PICK, LIFTED), (ABOVE_PLACE, PLACE, RETREATED)):
            for other in (above, after):
                back = place[:, at] - place[:, other]
                ahead = (back * rotation[:, at, :, 2]).sum(1)
                np.testing.assert_allclose(ahead, np.linalg.norm(back, axis=1), rtol=1e-9)
                assert APPROACH[0] <= ahead.min()
                assert ahead.max() <= APPROACH[1]
                np.testing.assert_array_equal(rotation[:, at], rotation[:, other])


def test_things_in_a_box_are_picked_and_placed_in_it() -> None:
    request = parse(TABLE, families={"pick_and_place": 1})
    drawn = draw_candidates(request, panda(), np.arange(300), np.zeros(300, np.int64))
    assert drawn.targets.position is not None
    at = drawn.targets.position[:, [PICK, PLACE]]
    assert ((at >= [0.3, -0.3, -0.1]) & (at <= [0.75, 0.3, 0.3])).all()
    rest = drawn.events.dwell[:, [PICK - 1, PLACE - 1]]
    assert GRASP_SECONDS[0] <= rest.min()
    assert rest.max() <= GRASP_SECONDS[1]
    assert (drawn.events.gripper == [-1, -1, 1, 1, 1, -1, -1]).all()


def test_ik_of_drawn_poses_starts_all_around_home() -> None:
    """So that the arm comes to them in many postures."""
    drawn = draw_candidates(parse(TABLE), panda(), np.arange(500), np.zeros(500, np.int64))
    assert drawn.targets.near is not None
    near, limits = drawn.targets.near[:, 0], panda().planning_limits
    low, high = np.maximum(panda().home - 0.3, limits.lower), np.minimum(panda().home + 0.3, limits.upper)
    assert HOME_SPREAD == 0.3
    assert ((near >= low) & (near <= high)).all()
    # All of what is allowed, but for the outermost hundredths.
    assert (near.min(0) < low + 0.01).all()
    assert (near.max(0) > high - 0.01).all()


def test_attempts_draw_from_streams_of_their_own_after_that_of_the_id() -> None:
    """NumPy's own, by seed, id and attempt: the first word is the speed's, then come those of the first waypoint."""
    request, limits = parse(JOINT_SPACE, seed=9, speed_scale=[0.0625, 0.5]), panda().planning_limits
    ids, attempts = np.array([0, 7, 7, 12]), np.array([0, 0, 1, 30])
    drawn = draw_candidates(request, panda(), ids, attempts)
    assert drawn.targets.q is not None
    for row, (i, attempt) in enumerate(zip(ids.tolist(), attempts.tolist(), strict=True)):
        words = np.random.Generator(np.random.Philox(key=[9, i], counter=[0, 0, 0, 1 + attempt])).random(8)
        assert drawn.speed_scale[row] == 0.0625 + 0.4375 * words[0]
        np.testing.assert_array_equal(drawn.targets.q[row, 0], limits.lower + words[1:] * (limits.upper - limits.lower))
