import numpy as np

from services.synthesis.request import FAMILIES
from services.synthesis.sampling import LONGEST_DWELL, MAX_WAYPOINTS, draw_candidates
from tests.services.synthesis.examples import JOINT_SPACE, TABLE, panda, parse


def test_box_poses_lie_in_the_box_and_the_cone() -> None:
    request = parse(TABLE)
    drawn = draw_candidates(request, panda(), np.arange(2000), np.zeros(2000, np.int64))
    assert drawn.position is not None
    assert drawn.rotation is not None
    used = np.arange(MAX_WAYPOINTS) <= drawn.segments[:, None]
    position, rotation = drawn.position[used], drawn.rotation[used]
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
    assert together.q is not None
    for i in range(0, 50, 9):
        alone = draw_candidates(request, panda(), np.array([i]), np.array([0]))
        assert alone.q is not None
        assert np.array_equal(alone.q[0], together.q[i])
        assert np.array_equal(alone.dwell[0], together.dwell[i])
    again = draw_candidates(request, panda(), np.arange(50), np.ones(50, np.int64))
    assert again.q is not None
    assert not np.array_equal(again.q[0], together.q[0])


def test_draws_follow_the_request() -> None:
    request = parse(JOINT_SPACE, families={"point_to_point": 1, "via_points": 3}, speed_scale=[0.2, 0.4])
    drawn = draw_candidates(request, panda(), np.arange(4000), np.zeros(4000, np.int64))
    via = drawn.family == FAMILIES.index("via_points")
    assert abs(via.mean() - 0.75) < 0.03
    assert set(drawn.segments[~via]) == {1}
    assert set(drawn.segments[via]) == {2, 3, 4, 5}
    assert 0.2 <= drawn.speed_scale.min() < 0.21 < 0.39 < drawn.speed_scale.max() <= 0.4
    assert drawn.dwell.max() <= LONGEST_DWELL
    assert drawn.tool_speed is None
    limits = panda().planning_limits
    assert drawn.q is not None
    assert ((drawn.q >= limits.lower) & (drawn.q <= limits.upper)).all()
