"""What is drawn from demonstrations, compared with their chains, which tests/shared/summary_example.py wrote down."""

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.synthesis.draw.fitted import MOST_SEGMENTS, chain_configurations
from services.synthesis.draw.sampling import Candidates, draw_candidates
from services.synthesis.motion.waypoints import Waypoints, changes_posture
from services.synthesis.pipeline import synthesize
from services.synthesis.ranges import BOX_MARGIN, action_range
from services.synthesis.request.demonstrated_chains import demonstrated_chains
from services.synthesis.request.families import LINE, SAME, SOLVED, WAYPOINT_FAMILIES, Family, is_family
from services.synthesis.solve.line_knots import FOLLOWED
from shared.errors import RequestError
from shared.records import content_hash
from shared.rotation import geodesic_angle, quat_xyzw_to_matrix, rot6d_to_matrix
from shared.summary import DemonstrationSummary
from tests.services.synthesis.examples import FITTED, panda, parse, row_values, shard, whole
from tests.shared.summary_example import DOWN, example_summary

STILL = dict.fromkeys(("shift", "position", "angle_deg", "speed", "dwell"), 0.0)


def _fitted(value: dict[str, Any], jitter: dict[str, float] = STILL, **changes: Any) -> dict[str, Any]:
    return {**FITTED, "workspace": {"kind": "fitted", "summary": value, "jitter": jitter}, **changes}


def _drawn(body: dict[str, Any], n: int = 600) -> Candidates:
    return draw_candidates(parse(body), panda(), np.arange(n), np.zeros(n, np.int64))


def test_a_rest_in_which_the_gripper_changes_is_cut_in_two() -> None:
    chains = demonstrated_chains(DemonstrationSummary.from_json(example_summary()))
    assert chains.first[:4].tolist() == [0, 6, 12, 18]
    # Down in 0.8 s, 0.2 s until the gripper closes, 0.4 s with it closed, up, across, down, 0.5 s with it open.
    assert chains.time[:6].tolist() == [0, 0.8, 0.2, 0.5, 1.0, 0.4]
    assert chains.dwell[:6].tolist() == [0, 0, 0.4, 0, 0, 0.5]
    assert chains.still[:6].tolist() == [False, False, True, False, False, False]
    assert chains.gripper[:6].tolist() == [-1, -1, 1, 1, 1, -1]
    assert chains.moving.tolist() == [1, 3, 4, 5, 7, 9, 10, 11, 13, 15, 16, 17]


def test_rests_at_the_start_and_changes_without_a_rest_are_kept() -> None:
    value = example_summary()
    value["chains"] = [
        {
            "position": [[0.5, 0, 0.2]] * 3 + [[0.5, 0, 0.1]] * 2,
            "quat_xyzw": [DOWN] * 5,
            "duration": [0.0, 0.0, 0.6, 0.0],
            "dwell": [0.3, 0.0, 0.7, 0.0, 0.9],
            "gripper": [-1, 1, -1, -1, 1],
        }
    ]
    chains = demonstrated_chains(DemonstrationSummary.from_json(value))
    assert (chains.demonstrated, chains.places) == (1, 0)
    # Open for 0.3 s; closed and at once open for 0.7 s, which is one rest; down; closed for 0.9 s.
    assert chains.time.tolist() == [0, 0.3, 0.6]
    assert chains.dwell.tolist() == [0, 0.7, 0.9]
    assert chains.gripper.tolist() == [-1, -1, 1]
    assert chains.still.tolist() == [False, True, False]


def test_without_jitter_the_tool_goes_where_and_when_it_was_demonstrated() -> None:
    value = example_summary()
    request = parse(_fitted(value, families={"via_points": 1.0}, count=12, rate_hz=100.0))
    rows = synthesize(whole(request))
    positions, grippers = row_values(rows, "ee_position", 3), row_values(rows, "gripper", 1)
    rotations = row_values(rows, "ee_rotation_6d", 6)
    seen = set()
    for index in range(12):
        chain = min(range(3), key=lambda c: abs(value["chains"][c]["position"][0][0] - positions[index][0, 0]))
        said = value["chains"][chain]
        seen.add(chain)
        arrival = np.cumsum([0.0, *np.array(said["duration"]) + said["dwell"][:-1]])
        assert rows.table["duration"][index].as_py() == pytest.approx(arrival[-1] + said["dwell"][-1], abs=1e-9)
        steps = np.round(arrival * 100).astype(int)
        assert np.abs(positions[index][steps] - said["position"]).max() < 1e-3
        # At the start and after rests, the sample is at the very waypoint.
        assert np.abs(positions[index][[0, steps[2], -1]] - np.array(said["position"])[[0, 2, 5]]).max() < 1.1e-5
        flips = np.flatnonzero(np.diff(grippers[index][:, 0])) + 1
        assert np.abs(flips - [steps[2], steps[5]]).max() <= 1
        down = quat_xyzw_to_matrix(np.array(DOWN))
        at = rot6d_to_matrix(rotations[index][steps].astype(np.float64))
        assert geodesic_angle(at, np.broadcast_to(down, at.shape)).max() < 5e-3
    assert seen == {0, 1, 2}


def test_jitter_stays_within_its_bounds_and_reaches_them() -> None:
    jitter = {"shift": 0.04, "position": 0.01, "angle_deg": 12.0, "speed": 0.5, "dwell": 0.3}
    body = _fitted(example_summary(), jitter, families={"via_points": 1.0})
    exact, drawn = _drawn(_fitted(example_summary(), families={"via_points": 1.0})), _drawn(body)
    assert exact.targets.position is not None
    assert exact.targets.rotation is not None
    assert drawn.targets.position is not None
    assert drawn.targets.rotation is not None
    moved = drawn.targets.position - exact.targets.position
    common = moved.mean(1, keepdims=True)
    assert 0.045 < np.linalg.norm(moved, axis=2).max() <= 0.05 + 1e-12
    assert 0.035 < np.linalg.norm(common, axis=2).max() < 0.05
    assert np.linalg.norm(moved - common, axis=2).max() <= 0.02
    # Uniform in a ball: the middle of 27 cubes holds as many as its share of the volume.
    inner = (np.linalg.norm(moved - common, axis=2) < 0.005).mean()
    assert 0.05 < inner < 0.35
    angle = np.rad2deg(geodesic_angle(drawn.targets.rotation, exact.targets.rotation))
    assert 11.5 < angle.max() <= 12 + 1e-9
    still = exact.arrival[:, 1:] == SAME
    with np.errstate(invalid="ignore", divide="ignore"):
        faster = (drawn.events.time / exact.events.time)[~still & (exact.events.time > 0)]
        longer = (drawn.events.dwell / exact.events.dwell)[exact.events.dwell > 0]
    assert 1 / 1.5 <= faster.min() < 0.7 < 1.45 < faster.max() <= 1.5
    assert 0.7 <= longer.min() < 0.72 < 1.28 < longer.max() <= 1.3
    assert np.array_equal(drawn.events.gripper, exact.events.gripper)


def test_parts_are_drawn_as_often_as_the_time_they_take() -> None:
    value = example_summary()
    value["chains"][1]["dwell"] = [0.0, 0.2, 0.4, 0.0, 0.0, 4.3]  # 7.6 s beside 3.8 s and 3.8 s
    drawn = _drawn(_fitted(value, families={"point_to_point": 1.0, "via_points": 1.0, "hold": 0.5}), 6000)
    assert drawn.targets.position is not None
    first = drawn.targets.position[:, 0, 0]
    via = is_family(drawn.family, "via_points")
    assert abs(np.isclose(first[via], 0.47).mean() - 0.5) < 0.03
    assert (drawn.segments[via] == 5).all()
    single = is_family(drawn.family, "point_to_point")
    assert (drawn.segments[single] == 1).all()
    assert (drawn.arrival[single, 1] != SAME).all()
    time, dwell = drawn.events.time[single, 0], drawn.events.dwell[single, 0]
    # Single motions take 2.7 s + 0.5 s, 2.7 + 4.3 and 2.7 + 0.5 of the three chains: 4.7 of these end in the long rest.
    assert abs(np.isclose(dwell, 4.3).mean() - 4.7 / 13.4) < 0.03
    assert set(np.round(time, 6)) == {0.8, 0.5, 1.0, 0.4}
    hold = is_family(drawn.family, "hold")
    assert (drawn.arrival[hold, 1:] == SAME).all()
    rests = {(0.45, 0.1), (0.47, 0.1), (0.49, 0.1), (0.45, 0.12), (0.47, 0.12), (0.49, 0.12)}
    held = np.round(drawn.targets.position[hold, 0][:, [0, 2]], 6)
    assert {tuple(pair) for pair in held.tolist()} == rests


def test_a_long_chain_is_drawn_in_parts() -> None:
    value = example_summary()
    n = MOST_SEGMENTS + 10
    xs = np.linspace(0.35, 0.6, n)
    value["chains"] = [
        {
            "position": np.stack([xs, 0 * xs, 0 * xs + 0.2], axis=1).tolist(),
            "quat_xyzw": [DOWN] * n,
            "duration": [0.2] * (n - 1),
            "dwell": [0.0] * n,
            "gripper": [1.0] * n,
        }
    ]
    drawn = _drawn(_fitted(value, families={"via_points": 1.0}))
    assert drawn.targets.position is not None
    assert (drawn.segments == MOST_SEGMENTS).all()
    begins = np.round((drawn.targets.position[:, 0, 0] - 0.35) / (xs[1] - xs[0])).astype(int)
    assert set(begins.tolist()) == set(range(n - MOST_SEGMENTS))


def test_a_pick_and_place_is_what_was_picked_and_placed() -> None:
    chains = demonstrated_chains(DemonstrationSummary.from_json(example_summary()))
    assert (chains.demonstrated, chains.places) == (3, 3)
    part = slice(18, 25)
    # Start and above are one place here; down, closed for 0.2 s + 0.4 s; up, across, down, open for 0.5 s; and back up.
    heights = [0.25, 0.25, 0.1, 0.2, 0.2, 0.12, 0.2]
    assert chains.position[part, 2].tolist() == heights
    assert chains.time[part].tolist() == [0, 0, 0.8, 0.5, 1.0, 0.4, 0.4]
    assert chains.dwell[part].tolist() == pytest.approx([0, 0, 0.6, 0, 0, 0.5, 0])
    assert chains.gripper[part].tolist() == [-1, -1, 1, 1, 1, -1, -1]
    drawn = _drawn(_fitted(example_summary(), families={"pick_and_place": 1.0, "cartesian_line": 1.0}))
    place, line = is_family(drawn.family, "pick_and_place"), is_family(drawn.family, "cartesian_line")
    assert drawn.targets.position is not None
    assert np.array_equal(np.unique(drawn.targets.position[place, :7, 2], axis=0), [heights])
    assert drawn.arrival[place][0].tolist() == [SOLVED, SOLVED, LINE, LINE, SOLVED, LINE, LINE]
    assert (drawn.segments[place] == 6).all()
    # A chain by straight lines, its rest included.
    assert drawn.arrival[line][0, :6].tolist() == [SOLVED, LINE, SAME, LINE, LINE, LINE]
    assert (drawn.segments[line] == 5).all()


def test_lines_follow_the_demonstration_in_its_time() -> None:
    value = example_summary()
    rows = synthesize(whole(parse(_fitted(value, families={"cartesian_line": 1.0}, count=6, rate_hz=50.0))))
    for duration, position in zip(rows.table["duration"].to_pylist(), row_values(rows, "ee_position", 3), strict=True):
        # One of the lines is demonstrated faster than the joints can follow.
        assert 0.8 + 0.2 + 0.4 + 0.5 + 1.0 + 0.4 + 0.5 - 1e-6 < duration < 4.0
        chain = min(value["chains"], key=lambda one: abs(one["position"][0][0] - position[0, 0]))
        corners = np.array(chain["position"])[[0, 1, 3, 4, 5]]
        share = np.linspace(0, 1, 500)[:, None]
        line = np.concatenate([a + share * (b - a) for a, b in itertools.pairwise(corners)])
        assert np.linalg.norm(position[:, None] - line, axis=2).min(1).max() < 4e-4


def test_ik_starts_beside_configurations_of_the_demonstrated_poses() -> None:
    summary = DemonstrationSummary.from_json(example_summary())
    chains = demonstrated_chains(summary)
    q = chain_configurations(summary, panda(), "pose")
    position, rotation = panda().tool_poses(q)
    assert np.linalg.norm(position - chains.position, axis=1).max() < 1e-5
    assert geodesic_angle(rotation, chains.rotation).max() < 1e-4
    # The arm goes through a chain in one posture.
    inside = np.setdiff1d(np.arange(1, len(q)), chains.first)
    assert len(inside) == 33
    assert np.abs(q[inside] - q[inside - 1]).max() < 0.8


def test_turning_the_arm_over_between_two_waypoints_is_another_posture() -> None:
    drawn = _drawn(_fitted(example_summary(), families={"via_points": 1.0, "cartesian_line": 1.0}), 40)
    search, rows = Waypoints(panda(), drawn, one_posture=True), np.arange(40)
    while len((ready := search.ready(rows))[0]):
        assert (search.find(*ready) == FOLLOWED).all()
    assert search.found.all()
    # Only of a motion in joint space, to the waypoint at which the arm has turned over.
    cases: tuple[tuple[Family, list[int]], ...] = (("via_points", [3]), ("cartesian_line", []))
    for name, waypoints in cases:
        row = int(np.flatnonzero(is_family(drawn.family, name))[0])
        turned = search.q.copy()
        turned[row, 3:, 4] += 2.0
        used = np.flatnonzero(drawn.arrival[row, 1 : drawn.segments[row] + 1] == SOLVED) + 1
        changes = changes_posture(drawn, turned, np.full(len(used), row), used)
        assert used[changes].tolist() == waypoints


def test_rows_do_not_depend_on_the_batch_nor_on_the_windows_carried() -> None:
    request, rows = shard("fitted")
    assert content_hash(synthesize(whole(request), batch_rows=7).table) == content_hash(rows.table)
    assert set(rows.table["family"].to_pylist()) == set(WAYPOINT_FAMILIES)
    value = example_summary(windows=3)
    other = parse(FITTED, workspace={"kind": "fitted", "summary": value})
    assert other.dataset_id != request.dataset_id
    assert content_hash(synthesize(whole(other)).table) == content_hash(rows.table)


def test_the_range_is_the_demonstrations_box_widened() -> None:
    position = action_range(parse(FITTED))["position"]
    said = example_summary()["position_range"]
    assert np.allclose(position["min"], np.array(said["min"]) - BOX_MARGIN)
    assert np.allclose(position["max"], np.array(said["max"]) + BOX_MARGIN)


def test_the_resolved_request_names_the_summary_by_its_content() -> None:
    request = parse(FITTED)
    summary = DemonstrationSummary.from_json(example_summary())
    assert request.resolved()["workspace"] == {"kind": "fitted", "summary": {"sha256": summary.content_sha256}}
    turned = dict(reversed(example_summary().items()))
    assert parse(FITTED, workspace={"kind": "fitted", "summary": turned}).dataset_id == request.dataset_id
    jittered = parse(FITTED, workspace={"kind": "fitted", "summary": turned, "jitter": {"shift": 0.03}})
    assert jittered.resolved()["workspace"]["jitter"] == {"shift": 0.03}


def _chain(**changes: Any) -> dict[str, Any]:
    value = example_summary()
    value["chains"][1] |= changes
    return value


def _problem(value: Any, **changes: Any) -> tuple[str, str]:
    with pytest.raises(RequestError) as caught:
        parse(FITTED, workspace={"kind": "fitted", "summary": value}, **changes)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("summary.json", "must be a JSON object"),
        (None, "must be a JSON object"),
        ([], "must be a JSON object"),
        ({"sha256": "a" * 64}, "/format"),
        ({**example_summary(), "version": 2}, "/format"),
        (_chain(dwell=[0.0]), "/chains/1/dwell: has shape (1,)"),
        (_chain(quat_xyzw=[[0.0] * 4] * 6), "/chains/1/quat_xyzw: must be unit quaternions"),
        (_chain(duration=[float("nan")] * 5), "/chains/1/duration: must be finite"),
        (_chain(duration=[0.0] * 5, dwell=[0.0] * 6), "/chains/1: takes no time"),
    ],
)
def test_a_hostile_summary_is_refused_with_its_place(value: Any, says: str) -> None:
    pointer, detail = _problem(value)
    assert pointer == "/workspace/summary"
    assert says in detail
    assert len(detail) < 300


def test_what_does_not_go_with_demonstrations_is_refused() -> None:
    pointer, detail = _problem(example_summary(robot="ur5"))
    assert (pointer, "of robot 'ur5', the request's is 'panda'" in detail) == ("", True)
    for key, given in (("speed_scale", [0.1, 0.5]), ("tool_speed", [0.1, 0.3]), ("via_velocity", [0.1, 0.3])):
        assert f"leave {key} out" in _problem(example_summary(), **{key: given})[1]
    pushed = example_summary()
    for chain in pushed["chains"]:
        chain["gripper"] = [1.0] * 6
    assert "leave pick_and_place out of families" in _problem(pushed)[1]
    parse(_fitted(pushed, families={"via_points": 1.0}))
    with pytest.raises(RequestError, match="/workspace/jitter/shift"):
        parse(_fitted(example_summary(), {"shift": -1.0}))


def test_chains_of_one_place_are_held_there() -> None:
    value = example_summary()
    for chain in value["chains"]:
        chain |= {"position": [[0.45, 0.0, 0.2]] * 6, "duration": [0.0] * 5}
    rows = synthesize(whole(parse(_fitted(value, count=30, families={"point_to_point": 1.0, "via_points": 1.0}))))
    positions: list[NDArray[Any]] = row_values(rows, "ee_position", 3)
    assert max(np.ptp(one, axis=0).max() for one in positions) < 1e-6
