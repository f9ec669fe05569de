from typing import Any

import numpy as np
import pytest

from services.synthesis.draw.sampling import Candidates, draw_candidates
from services.synthesis.pipeline import synthesize
from services.synthesis.request.families import PICK, PLACE, is_family
from shared.errors import RequestError
from shared.records import content_hash
from shared.rotation import geodesic_angle, matrix_to_quat_xyzw, quat_xyzw_to_matrix, rot6d_to_matrix, rotvec_to_matrix
from tests.services.synthesis.examples import JOINT_SPACE, panda, parse, row_values, whole

DOWN = [1.0, 0.0, 0.0, 0.0]
TURNED = [0.0, 0.7071, -0.7071, 0.0, -0.7071, -0.7071]
LISTED = [
    {"position": [0.5, 0.2, 0.3], "quat_xyzw": DOWN},
    {"position": [0.5, -0.2, 0.25], "quat_xyzw": DOWN},
    {"position": [0.4, 0.0, 0.4], "rotation_6d": [1.0, 0.0, 0.0, 0.0, -1.0, 0.0]},
]


def _body(**changes: Any) -> dict[str, Any]:
    workspace = {"kind": "poses", "poses": LISTED, **changes.pop("workspace", {})}
    return {"robot": "panda", "count": 40, "workspace": workspace, **changes}


def _drawn(n: int = 3000, **changes: Any) -> Candidates:
    return draw_candidates(parse(_body(**changes)), panda(), np.arange(n), np.zeros(n, np.int64))


def _indices(drawn: Candidates) -> np.ndarray[Any, Any]:
    """Which listed pose is nearest to each waypoint, shape (n, W)."""
    assert drawn.targets.position is not None
    listed = np.array([pose["position"] for pose in LISTED])
    return np.asarray(np.linalg.norm(drawn.targets.position[:, :, None] - listed, axis=-1).argmin(-1))


def test_poses_are_drawn_alike_and_never_twice_running() -> None:
    drawn = _drawn()
    index = _indices(drawn)
    assert drawn.targets.position is not None
    assert drawn.targets.rotation is not None
    np.testing.assert_array_equal(drawn.targets.position, np.array([pose["position"] for pose in LISTED])[index])
    down = quat_xyzw_to_matrix(np.array(DOWN))
    np.testing.assert_allclose(drawn.targets.rotation, np.broadcast_to(down, (*index.shape, 3, 3)), atol=1e-12)
    used = np.arange(1, index.shape[1]) <= drawn.segments[:, None]
    assert (index[:, 1:] != index[:, :-1])[used].all()
    for waypoint in (0, 1):
        share = np.bincount(index[:, waypoint]) / len(index)
        assert np.abs(share - 1 / 3).max() < 0.03


def test_things_are_picked_at_one_listed_pose_and_placed_at_another() -> None:
    drawn = _drawn(500, families={"pick_and_place": 1})
    index = _indices(drawn)
    assert is_family(drawn.family, "pick_and_place").all()
    assert (index[:, PICK] != index[:, PLACE]).all()
    assert (index[:, PICK] != index[:, 0]).all()


def test_a_jitter_fills_its_ball_and_its_angles() -> None:
    drawn = _drawn(workspace={"jitter": {"position": 0.02, "angle_deg": 10}}, families={"point_to_point": 1})
    index = _indices(drawn)
    assert drawn.targets.position is not None
    assert drawn.targets.rotation is not None
    away = np.linalg.norm(drawn.targets.position - np.array([pose["position"] for pose in LISTED])[index], axis=-1)
    assert 0.0195 < away.max() <= 0.02 + 1e-12
    # Half of a ball's volume lies within the cube root of a half of its radius.
    assert abs(np.mean(away < 0.02 * 0.5 ** (1 / 3)) - 0.5) < 0.03
    angle = np.rad2deg(geodesic_angle(drawn.targets.rotation, quat_xyzw_to_matrix(np.array(DOWN))))
    assert 9.9 < angle.max() <= 10 + 1e-9
    assert abs(np.mean(angle < 5) - 0.5) < 0.03
    # The angle is made of what choosing leaves of a number: it must not tell which pose was chosen.
    assert abs(np.corrcoef(index[:, 1], angle[:, 1])[0, 1]) < 0.05


def test_both_ways_to_write_a_rotation_mean_the_same() -> None:
    turn = rotvec_to_matrix(np.array([0.3, -0.2, 0.5]))
    rows = turn[:2].reshape(-1).tolist()
    np.testing.assert_allclose(rot6d_to_matrix(np.array(rows)), turn, atol=1e-12)
    poses = [{"position": [0.5, y, 0.3], "rotation_6d": rows} for y in (0.1, 0.2)]
    drawn = _drawn(10, workspace={"poses": poses})
    assert drawn.targets.rotation is not None
    np.testing.assert_allclose(drawn.targets.rotation, np.broadcast_to(turn, drawn.targets.rotation.shape), atol=1e-12)


@pytest.mark.parametrize("family", ["point_to_point", "via_points", "cartesian_line", "pick_and_place", "hold"])
def test_every_family_works_between_listed_poses(family: str) -> None:
    request = parse(_body(count=20, families={family: 1}, workspace={"jitter": {"position": 0.03, "angle_deg": 5}}))
    rows = synthesize(whole(request))
    assert set(rows.table["family"].to_pylist()) == {family}
    start = np.array([position[0] for position in row_values(rows, "ee_position", 3)])
    listed = np.array([pose["position"] for pose in LISTED])
    assert np.linalg.norm(start[:, None] - listed, axis=-1).min(1).max() < 0.03 + 2e-5
    assert content_hash(synthesize(whole(request), 3).table) == content_hash(rows.table)


@pytest.mark.parametrize(
    ("workspace", "pointer"),
    [
        ({"poses": []}, "/workspace/poses"),
        ({"poses": LISTED * 334}, "/workspace/poses"),
        ({"poses": LISTED[:1]}, "/workspace"),
        ({"poses": [LISTED[0], LISTED[0]]}, "/workspace"),
        ({"poses": [LISTED[0], {"position": [0, 0, 1]}]}, "/workspace/poses/1"),
        ({"poses": [LISTED[0], {**LISTED[1], "rotation_6d": TURNED}]}, "/workspace/poses/1"),
        ({"poses": [LISTED[0], {"position": [0, 0, 1], "quat_xyzw": [0, 0, 0, 0.9]}]}, "/workspace/poses/1/quat_xyzw"),
        ({"poses": [{"position": [0, 0, 1], "quat_xyzw": [0, 0, 0, 1.1]}]}, "/workspace/poses/0/quat_xyzw/3"),
        ({"poses": [{"position": [0, 0, 1], "rotation_6d": [1, 0, 0, 1, 0, 0]}]}, "/workspace/poses/0/rotation_6d"),
        ({"poses": [{"quat_xyzw": DOWN}]}, "/workspace/poses/0/position"),
        ({"poses": [{**LISTED[0], "name": "a"}]}, "/workspace/poses/0/name"),
        ({"jitter": {"position": -1}}, "/workspace/jitter/position"),
        ({"jitter": {"angle_deg": 181}}, "/workspace/jitter/angle_deg"),
    ],
)
def test_bad_lists_are_named_by_entry(workspace: dict[str, Any], pointer: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(_body(workspace=workspace))
    assert [place for place, _ in caught.value.problems] == [pointer]


def test_one_pose_with_a_jitter_is_enough() -> None:
    workspace = {"poses": LISTED[:1], "jitter": {"position": 0.05}}
    rows = synthesize(whole(parse(_body(count=5, workspace=workspace))))
    assert len(rows.table) == 5
    assert parse(JOINT_SPACE).workspace.kind == "joint_space"


def _pose(position: list[float], turn: list[float], form: str = "quat_xyzw") -> dict[str, Any]:
    matrix = rotvec_to_matrix(np.array(turn)) @ quat_xyzw_to_matrix(np.array(DOWN))
    quat = matrix_to_quat_xyzw(matrix)
    value = {"quat_xyzw": quat, "negative": -quat, "rotation_6d": matrix[:2].reshape(-1)}[form]
    return {"position": position, "rotation_6d" if form == "rotation_6d" else "quat_xyzw": value.tolist()}


HERE = [0.5, 0.1, 0.4]
SAME = {
    "again": _pose(HERE, [0, 0, 0.3]),
    "with the other sign": _pose(HERE, [0, 0, 0.3], "negative"),
    "as a matrix": _pose(HERE, [0, 0, 0.3], "rotation_6d"),
    "rounded": _pose([0.50004, 0.1, 0.39996], [0, 0.0004, 0.3004]),
}


@pytest.mark.parametrize("how", SAME)
def test_poses_that_are_one_leave_nothing_to_move_between(how: str) -> None:
    body = _body(workspace={"poses": [_pose(HERE, [0, 0, 0.3]), SAME[how]]})
    with pytest.raises(RequestError) as raised:
        parse(body)
    assert raised.value.problems == [
        (
            "/workspace",
            "2 poses that are one, without a jitter leave nothing to move between; list another, or give a jitter of "
            "at least 0.0001 m",
        )
    ]
    # A jitter that does not move the tool is none.
    with pytest.raises(RequestError, match="leave nothing to move between"):
        parse(_body(workspace={**body["workspace"], "jitter": {"position": 1e-6, "angle_deg": 1e-3}}))
    parse(_body(workspace={**body["workspace"], "jitter": {"position": 0.01}}))


def test_poses_that_are_one_count_once() -> None:
    """Of four entries three are one pose: it is as likely as the other, and never follows itself."""
    listed = [_pose(HERE, [0, 0, 0.3]), SAME["as a matrix"], _pose([0.5, -0.2, 0.3], [0, 0, 0]), SAME["rounded"]]
    drawn = _drawn(workspace={"poses": listed}, families={"via_points": 1})
    assert drawn.targets.position is not None
    used = np.arange(1, drawn.targets.position.shape[1]) <= drawn.segments[:, None]
    steps = np.linalg.norm(np.diff(drawn.targets.position, axis=1), axis=-1)
    assert steps[used].min() > 0.3
    first = drawn.targets.position[:, 0, 1] > 0
    assert abs(first.mean() - 0.5) < 0.03
    distinct = _drawn(workspace={"poses": [listed[0], listed[2]]}, families={"via_points": 1})
    assert distinct.targets.position is not None
    assert np.array_equal(drawn.targets.position, distinct.targets.position)


@pytest.mark.parametrize(
    ("goal", "poses", "moves"),
    [
        ("position", [_pose(HERE, [0, 0, 0]), _pose(HERE, [0, 0, 1])], False),
        ("position_axis", [_pose(HERE, [0, 0, 0]), _pose(HERE, [0, 0, 1])], False),
        ("position_axis", [_pose(HERE, [0, 0, 0]), _pose(HERE, [0, 0.5, 0])], True),
        ("pose", [_pose(HERE, [0, 0, 0]), _pose(HERE, [0, 0, 1])], True),
    ],
)
def test_poses_are_compared_as_far_as_the_goal_asks(goal: str, poses: list[dict[str, Any]], moves: bool) -> None:
    body = _body(goal=goal, workspace={"poses": poses}, families={"point_to_point": 1}, count=8, shard_rows=8)
    if not moves:
        with pytest.raises(
            RequestError, match=r"/goal: 2 poses that are one, of which goal '.*' asks for the position"
        ):
            parse(body)
        far = [*poses, _pose([0.4, -0.2, 0.3], [0, 0, 0])]
        body["workspace"]["poses"] = far
    for q in row_values(synthesize(whole(parse(body))), "joint_position", 7):
        assert np.abs(q - q[0]).max() > 0.01
