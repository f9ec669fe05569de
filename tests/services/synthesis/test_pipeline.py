import hashlib
import multiprocessing
from collections import Counter
from typing import Any

import numpy as np
import pytest

from services.synthesis.arm.robot_model import pinocchio_pose
from services.synthesis.pipeline import ShardPlan, plan_shards, robot_spec, synthesize
from services.synthesis.ranges import BOX_MARGIN, action_range
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.errors import SynthesisError
from shared.records import content_hash, schema
from shared.rotation import geodesic_angle, rot6d_to_matrix
from shared.trajectory import limit_violations
from tests.services.synthesis.examples import EXAMPLES, JOINT_SPACE, TABLE, panda, parse, row_values, shard, whole

NAMES = list(EXAMPLES)


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_as_the_schema_says(name: str) -> None:
    request, rows = shard(name)
    assert rows.table.schema.equals(schema(request.columns))
    assert rows.table["trajectory_id"].to_pylist() == list(range(request.count))
    length = rows.table["length"].to_numpy()
    duration = rows.table["duration"].to_numpy()
    assert (length == np.ceil(duration * request.rate_hz) + 1).all()
    for column, width in (("joint_position", 7), ("joint_velocity", 7), ("ee_position", 3), ("ee_rotation_6d", 6)):
        assert [len(values) for values in row_values(rows, column, width)] == length.tolist()
    assert set(rows.table["family"].to_pylist()) == {name for name, weight in request.families.items() if weight}
    assert set(rows.table["rate_hz"].to_pylist()) == {request.rate_hz}


@pytest.mark.parametrize("name", NAMES)
def test_written_values_keep_every_limit_without_any_slack(name: str) -> None:
    request, rows = shard(name)
    qdd = rows.table["joint_acceleration"] if "joint_acceleration" in request.columns else None
    count = limit_violations(
        robot_spec(request).limits,
        np.concatenate(row_values(rows, "joint_position", 7)).astype(np.float64),
        np.concatenate(row_values(rows, "joint_velocity", 7)).astype(np.float64),
        None if qdd is None else np.concatenate(row_values(rows, "joint_acceleration", 7)).astype(np.float64),
    )
    assert not any(count.values())
    if "profile_jerk" in request.columns:
        jerk = np.concatenate(row_values(rows, "profile_jerk", 49)).reshape(-1, 7, 7)
        assert (np.abs(jerk) <= robot_spec(request).limits.jerk[:, None]).all()


@pytest.mark.parametrize("name", NAMES)
def test_written_poses_are_pinocchios_of_the_written_joints(name: str) -> None:
    _, rows = shard(name)
    columns = [row_values(rows, c, w) for c, w in (("joint_position", 7), ("ee_position", 3), ("ee_rotation_6d", 6))]
    for q, position, rot6d in list(zip(*columns, strict=True))[::10]:
        for k in range(0, len(q), 7):
            pose = pinocchio_pose(panda(), q[k])
            assert np.linalg.norm(pose.translation - position[k]) < 1e-6
            assert geodesic_angle(pose.rotation, rot6d_to_matrix(rot6d[k].astype(np.float64))) < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_rows_begin_and_end_at_rest_move_on_smoothly_and_stay_in_range(name: str) -> None:
    request, rows = shard(name)
    ranges = action_range(request)["position"]
    step = robot_spec(request).limits.velocity / request.rate_hz
    for q, qd, position, gripper in zip(
        row_values(rows, "joint_position", 7),
        row_values(rows, "joint_velocity", 7),
        row_values(rows, "ee_position", 3),
        row_values(rows, "gripper", 1),
        strict=True,
    ):
        assert not qd[0].any()
        assert not qd[-1].any()
        assert (np.abs(np.diff(q, axis=0)) <= step + 1e-6).all()
        assert ((position >= ranges["min"]) & (position <= ranges["max"])).all()
        assert set(gripper.ravel().tolist()) <= {-1.0, 1.0}


@pytest.mark.parametrize("name", ["table", "reachable", "hold"])
def test_integrating_the_stored_pieces_gives_the_stored_samples(name: str) -> None:
    request, rows = shard(name)
    columns = ("joint_position", 7), ("joint_velocity", 7), ("profile_time", 49), ("profile_jerk", 49)
    durations = rows.table["duration"].to_numpy()
    for row, (q, qd, time, jerk) in enumerate(zip(*(row_values(rows, c, w) for c, w in columns), strict=True)):
        segments = time.reshape(-1, 7, 7)
        lengths = segments.sum(2).max(1)
        assert lengths.sum() == pytest.approx(durations[row], abs=1e-9)
        if row % 10 == 0:
            _assert_integrates_to(q, qd, segments, jerk.reshape(-1, 7, 7), lengths, request.rate_hz)


def _assert_integrates_to(
    q: np.ndarray[Any, Any],
    qd: np.ndarray[Any, Any],
    time: np.ndarray[Any, Any],
    jerk: np.ndarray[Any, Any],
    lengths: np.ndarray[Any, Any],
    rate_hz: float,
) -> None:
    """Walks the pieces of each joint; after its pieces a joint holds until the segment's longest joint is done."""
    begins = np.concatenate([[0.0], np.cumsum(lengths)])
    for joint in range(7):
        p, v, a = float(q[0, joint]), 0.0, 0.0
        for segment in range(len(lengths)):
            here = begins[segment]
            for t, j in zip(time[segment, joint], jerk[segment, joint], strict=True):
                ends = here + t
                inside = np.flatnonzero((np.arange(len(q)) / rate_hz >= here) & (np.arange(len(q)) / rate_hz < ends))
                s = inside / rate_hz - here
                np.testing.assert_allclose(q[inside, joint], p + s * (v + s * (a / 2 + s * j / 6)), rtol=0, atol=2e-6)
                np.testing.assert_allclose(qd[inside, joint], v + s * (a + s * j / 2), rtol=0, atol=2e-6)
                p, v, a, here = p + t * (v + t * (a / 2 + t * j / 6)), v + t * (a + t * j / 2), a + t * j, ends
        assert p == pytest.approx(float(q[-1, joint]), abs=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_attempts_are_rows_and_rejections(name: str) -> None:
    request, rows = shard(name)
    assert rows.attempts == request.count + sum(rows.rejections.values())
    assert rows.table["attempts"].to_numpy().sum() == rows.attempts
    assert rows.rejections == dict(sum(map(Counter, rows.rejections_by_family.values()), Counter()))
    assert set(rows.rejections_by_family) <= {name for name, weight in request.families.items() if weight}
    if name == "table":
        assert "outside_range" in rows.rejections
        assert "unreachable" in rows.redraws_by_family["via_points"]


@pytest.mark.parametrize("name", NAMES)
def test_bytes_do_not_depend_on_the_batch(name: str) -> None:
    request, rows = shard(name)
    expected = content_hash(rows.table)
    for batch_rows in (1 if request.count <= 150 else 17, 64, 1000):
        again = synthesize(whole(request), batch_rows)
        assert content_hash(again.table) == expected
        assert (again.attempts, again.rejections) == (rows.attempts, rows.rejections)
        assert again.redraws_by_family == rows.redraws_by_family


def test_rows_do_not_depend_on_the_shard_they_are_in() -> None:
    request, rows = shard("table")
    part = synthesize(ShardPlan(request, 3, 40, 25))
    assert content_hash(part.table) == content_hash(rows.table.slice(40, 25).combine_chunks())


def _hash_elsewhere(plan: ShardPlan) -> str:
    return content_hash(synthesize(plan).table)


def test_another_process_makes_the_same_bytes() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for name in ("table", "reachable"):
            request, rows = shard(name)
            assert pool.apply(_hash_elsewhere, (whole(request),)) == content_hash(rows.table)


def test_seeds_make_different_rows() -> None:
    small = parse(TABLE, count=8)
    hashes = {content_hash(synthesize(whole(parse(TABLE, count=8, seed=seed))).table) for seed in (1, 2)}
    assert len(hashes | {content_hash(synthesize(whole(small)).table)}) == 3


def test_shards_cover_the_request_once() -> None:
    request = parse(JOINT_SPACE, count=103, shard_rows=25)
    plans = plan_shards(request)
    assert [plan.rows for plan in plans] == [25, 25, 25, 25, 3]
    assert [plan.index for plan in plans] == list(range(5))
    ids = np.concatenate([np.arange(plan.first_id, plan.first_id + plan.rows) for plan in plans])
    assert ids.tolist() == list(range(103))


def test_gripper_and_dwells_are_drawn_as_stated() -> None:
    rows = synthesize(whole(parse(TABLE, count=600, self_collision=False))).table
    grippers = [np.array(values) for values in rows["gripper"].to_pylist()]
    starts = Counter(values[0] for values in grippers)
    assert abs(starts[1.0] / 600 - 0.5) < 0.07
    flips = sum(int(np.count_nonzero(np.diff(values))) for values in grippers)
    pieces = [np.array(values).reshape(-1, 7, 7) for values in rows["profile_jerk"].to_pylist()]
    dwells = sum(int((~np.any(row, axis=(1, 2))).sum()) for row in pieces)
    segments = sum(len(row) for row in pieces) - dwells
    assert 2.0 <= segments / 600 <= 5.0
    assert abs(dwells / segments - 0.6) < 0.05
    assert abs(flips / segments - 0.5) < 0.05


def test_a_hold_stands_still_while_its_gripper_flips_at_drawn_times() -> None:
    _, rows = shard("hold")
    flips = 0
    for q, qd, gripper in zip(
        row_values(rows, "joint_position", 7),
        row_values(rows, "joint_velocity", 7),
        row_values(rows, "gripper", 1),
        strict=True,
    ):
        assert np.array_equal(q, np.tile(q[0], (len(q), 1)))
        assert not qd.any()
        flips += int(np.count_nonzero(np.diff(gripper[:, 0])))
    # Two to four segments; after each the gripper flips with probability 1/2.
    assert 1.1 < flips / len(rows.table) < 1.9
    duration = rows.table["duration"].to_numpy()
    assert duration.min() >= 2 * 0.2
    assert duration.max() <= 4 * 1.5
    assert len(set(duration)) == len(duration)


@pytest.mark.parametrize("count", [3, 3000])
def test_an_impossible_request_stops_early_with_counts_and_advice(count: int) -> None:
    nowhere = {"kind": "box", "min": [2.0, 2.0, 2.0], "max": [3.0, 3.0, 3.0]}
    body = {"robot": "panda", "families": {"via_points": 1.0}, "workspace": nowhere}
    with pytest.raises(SynthesisError, match="move or shrink the workspace") as caught:
        synthesize(whole(parse(body, count=count, shard_rows=count)))
    assert caught.value.attempts <= 3000
    assert sum(caught.value.rejections.values()) == caught.value.attempts


def test_a_shard_that_would_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.synthesis.pipeline.MAX_SHARD_BYTES", 100_000)
    with pytest.raises(SynthesisError, match="lower shard_rows"):
        synthesize(whole(parse(JOINT_SPACE, count=20)))


def test_ranges_are_known_before_any_row() -> None:
    table = action_range(parse(TABLE))["position"]
    assert table["min"] == pytest.approx([0.3 - BOX_MARGIN, -0.3 - BOX_MARGIN, -0.1 - BOX_MARGIN])
    everywhere = action_range(parse(JOINT_SPACE))
    assert -1.0 < everywhere["position"]["min"][0] < -0.9 < 0.9 < everywhere["position"]["max"][0] < 1.0
    assert everywhere["joint_position"]["max"] == robot_spec(parse(JOINT_SPACE)).limits.upper.tolist()


def test_output_is_pinned_by_the_generator_version() -> None:
    """When this fails on purpose, raise GENERATOR_VERSION and write the new digest down."""
    request = TrajectoryRequest.parse({"robot": "panda", "count": 4, "seed": 11, "self_collision": False})
    table = synthesize(whole(request)).table
    digest = hashlib.sha256()
    for name in ("duration", "length", "family", "attempts"):
        digest.update(repr([f"{v:.9f}" if isinstance(v, float) else v for v in table[name].to_pylist()]).encode())
    assert digest.hexdigest()[:16] == "b24cdd10efb5f91f"
