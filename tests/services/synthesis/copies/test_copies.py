"""Copies of made-up demonstrations: rigid with their objects, within limits, the same whatever the batch."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from services.catalogue import find_arm
from services.synthesis import pending
from services.synthesis.arm.robot_model import robot_model
from services.synthesis.copies.copying import as_written
from services.synthesis.copies.layout import demonstrated_layouts, draw_layouts, spans
from services.synthesis.copies.sources import sources
from services.synthesis.pipeline import plan_shards, synthesize
from services.synthesis.ranges import action_range
from services.synthesis.request.trajectory_request import TrajectoryRequest
from services.synthesis.request.workspace import Objects
from shared.demonstrated_motions import FREE, DemonstratedMotions, MovedObject
from shared.errors import RequestError, SynthesisError
from shared.records import columns_of, content_hash, list_column
from shared.rotation import geodesic_angle, matrix_to_rotvec, rot6d_to_matrix
from tests.stacking import TABLE, motions

FloatArray = NDArray[np.float64]


def request(of: DemonstratedMotions, **changes: Any) -> TrajectoryRequest:
    workspace = {"kind": "objects", "motions": of.content_sha256, **changes.pop("workspace", {})}
    body = {"robot": "panda", "count": 64, "rate_hz": of.rate_hz, "workspace": workspace, **changes}
    return TrajectoryRequest.parse(body, motions={of.content_sha256: of}.get)


def make(of: DemonstratedMotions, **changes: Any) -> pa.Table:
    return synthesize(plan_shards(request(of, **changes))[0]).table


def rows(table: pa.Table, name: str, width: int) -> list[FloatArray]:
    values, first = list_column(table, name)
    split = np.split(values.astype(np.float64), first[1:-1])
    return [part.reshape(-1, width) for part in split]


MOTIONS = motions(5)
STILL = {"start_jitter": {"position": 0.0, "angle_deg": 0.0}}


def only(place: int) -> DemonstratedMotions:
    return replace(MOTIONS, motions=MOTIONS.motions[place : place + 1])


@pytest.mark.parametrize("place", range(5))
def test_with_everything_where_it_was_a_copy_is_its_demonstration(place: int) -> None:
    motion, table = MOTIONS.motions[place], make(only(place), count=1)
    time = rows(table, "source_time", 1)[0][:, 0]
    assert (np.diff(time) >= 0).all()
    assert (time[0], time[-1]) == (0.0, motion.steps - 1)
    commanded = CubicSpline(np.arange(motion.steps), motion.commanded.position)(time)
    off = np.linalg.norm(rows(table, "ee_position", 3)[0] - commanded, axis=1)
    segment = rows(table, "segment", 1)[0][:, 0].astype(int)
    skill = np.array([one.relative_to != FREE for one in motion.segments])[segment]
    assert off[skill].max() < 1e-3
    rotation = rot6d_to_matrix(rows(table, "ee_rotation_6d", 6)[0])
    nearest = np.minimum(np.round(time).astype(int), motion.steps - 1)
    whole = np.abs(time - nearest) < 1e-3
    angle = geodesic_angle(rotation, motion.commanded.rotation[nearest])
    assert np.rad2deg(angle[skill & whole]).max() < 0.3
    for index, thing in enumerate(MOTIONS.objects):
        position = rows(table, f"object/{thing.name}/position", 3)[0]
        seen = np.stack([np.interp(time, range(motion.steps), axis) for axis in motion.objects[index].position.T], 1)
        held = (time >= motion.held[0].first) & (time < motion.held[0].end) & (index == 0)
        assert np.abs(position - seen)[~held].max() < 1e-6
        # In the hand it goes with the command, which is not where the hand was seen.
        assert np.linalg.norm(position - seen, axis=1)[held].max(initial=0) < 2e-3
    gripper = rows(table, "gripper", 1)[0][:, 0]
    np.testing.assert_array_equal(gripper, motion.gripper[np.floor(time + 1e-6).astype(int)])


def relative(position: FloatArray, rotation: FloatArray, thing: FloatArray, turned: FloatArray) -> tuple[Any, Any]:
    """The tool's pose in an object's frame."""
    back = np.swapaxes(turned, 1, 2)
    return np.einsum("tij,tj->ti", back, position - thing), back @ rotation


def test_skill_segments_move_rigidly_with_their_objects() -> None:
    table = make(MOTIONS, count=40)
    found: Counter[str] = Counter()
    for row in range(40):
        motion = MOTIONS.motions[table["source"][row].as_py()]
        position, rotation = rows(table, "ee_position", 3)[row], rot6d_to_matrix(rows(table, "ee_rotation_6d", 6)[row])
        time, segment = rows(table, "source_time", 1)[row][:, 0], rows(table, "segment", 1)[row][:, 0].astype(int)
        # In these skill segments the tool does not turn, so that any step near by tells its rotation.
        step = np.round(time).astype(int)
        commanded = CubicSpline(np.arange(motion.steps), motion.commanded.position)(time)
        for index, one in enumerate(motion.segments):
            if one.relative_to == FREE:
                continue
            thing = MOTIONS.objects[one.relative_to]
            chosen = np.flatnonzero(segment == index)
            place = rows(table, f"object/{thing.name}/position", 3)[row][chosen]
            turned = rot6d_to_matrix(rows(table, f"object/{thing.name}/rotation_6d", 6)[row][chosen])
            poses = motion.objects[one.relative_to]
            shift, turn = relative(position[chosen], rotation[chosen], place, turned)
            expected = relative(
                commanded[chosen], motion.commanded.rotation[step[chosen]],
                poses.position[step[chosen]], poses.rotation[step[chosen]],
            )  # fmt: skip
            before_held = time[chosen] < motion.held[0].first if one.relative_to == 0 else np.ones(len(chosen), bool)
            if one.turns_with == "hand":
                # By the same turn about the vertical: heights and distances stay.
                np.testing.assert_allclose(position[chosen, 2], commanded[chosen, 2], atol=1e-3)
                np.testing.assert_allclose(
                    np.linalg.norm(shift, axis=1), np.linalg.norm(expected[0], axis=1), atol=1.5e-3
                )
                found["hand"] += len(chosen)
                continue
            # Up to a quarter turn of the block, which makes no difference.
            quarter = [np.round(rotvec / (np.pi / 2)) for rotvec in matrix_to_rotvec(turn @ expected[1].swapaxes(1, 2))]
            spin = Rotation.from_rotvec(np.array(quarter) * np.pi / 2).as_matrix()
            assert np.abs(np.array(quarter)[:, :2]).max() == 0
            at_rest = before_held
            off = np.linalg.norm(np.einsum("tij,tj->ti", spin, expected[0]) - shift, axis=1)
            assert off[at_rest].max() < 1.2e-3
            assert np.rad2deg(geodesic_angle(spin @ expected[1], turn))[at_rest].max() < 0.3
            found["object"] += int(at_rest.sum())
    assert min(found["hand"], found["object"]) > 100


def test_what_is_held_moves_with_the_hand_and_stays_where_it_is_left() -> None:
    table = make(MOTIONS, count=30)
    for row in range(30):
        motion = MOTIONS.motions[table["source"][row].as_py()]
        time = rows(table, "source_time", 1)[row][:, 0]
        position, rotation = rows(table, "ee_position", 3)[row], rot6d_to_matrix(rows(table, "ee_rotation_6d", 6)[row])
        block = rows(table, "object/block/position", 3)[row]
        turned = rot6d_to_matrix(rows(table, "object/block/rotation_6d", 6)[row])
        held = (time >= motion.held[0].first) & (time < motion.held[0].end)
        in_hand = np.einsum("tji,tj->ti", rotation, block - position)
        step = np.minimum(time.astype(int), motion.steps - 2)
        share = (time - step)[:, None]
        off = motion.objects[0].position - motion.commanded.position
        seen = np.einsum("tji,tj->ti", motion.commanded.rotation, off)
        expected = (1 - share) * seen[step] + share * seen[step + 1]
        assert np.linalg.norm(in_hand - expected, axis=1)[held].max() < 2e-3
        # No jump anywhere: the block is never faster than the tool.
        moved = np.linalg.norm(np.diff(block, axis=0), axis=1)
        assert moved.max() <= 1.1 * np.linalg.norm(np.diff(position, axis=0), axis=1).max()
        assert np.rad2deg(geodesic_angle(turned[1:], turned[:-1])).max() < 12
        after = time >= motion.held[0].end
        assert np.linalg.norm(block[after] - block[after][-1], axis=1).max() < 1e-3
        base = rows(table, "object/base/position", 3)[row]
        assert np.abs(base - base[0]).max() < 1e-6


def test_objects_lie_where_the_demonstrations_had_them_or_where_they_are_asked_for() -> None:
    known = demonstrated_layouts(sources(MOTIONS))
    table = make(MOTIONS, count=128)
    firsts = {
        thing.name: np.array([part[0] for part in rows(table, f"object/{thing.name}/position", 3)])
        for thing in MOTIONS.objects
    }
    for index, thing in enumerate(MOTIONS.objects):
        low, high = known[:, index, :2].min(0), known[:, index, :2].max(0)
        assert (firsts[thing.name][:, :2] >= low - 1e-6).all()
        assert (firsts[thing.name][:, :2] <= high + 1e-6).all()
        # All over the box: each tenth of it has its share, give or take chance.
        share = (firsts[thing.name][:, :2] - low) / (high - low)
        assert (np.abs(share.mean(0) - 0.5) < 0.12).all()
    between = np.linalg.norm(firsts["block"][:, :2] - firsts["base"][:, :2], axis=1)
    least = np.linalg.norm(known[:, 0, :2] - known[:, 1, :2], axis=1).min()
    assert between.min() >= least - 1e-6
    asked = {"objects": {"base": {"min": [0.5, 0.1], "max": [0.52, 0.11], "yaw_deg": [30.0, 30.0]}}}
    table = make(MOTIONS, count=32, workspace=asked)
    first = np.array([part[0] for part in rows(table, "object/base/position", 3)])
    assert ((first[:, :2] >= [0.5 - 1e-6, 0.1 - 1e-6]) & (first[:, :2] <= [0.52 + 1e-6, 0.11 + 1e-6])).all()
    turned = rot6d_to_matrix(np.array([part[0] for part in rows(table, "object/base/rotation_6d", 6)]))
    np.testing.assert_allclose(np.rad2deg(np.arctan2(turned[:, 1, 0], turned[:, 0, 0])), 30.0, atol=1e-3)


def test_objects_at_other_heights_take_the_tool_with_them() -> None:
    asked = {"objects": {"base": {"height": [TABLE + 0.05, TABLE + 0.15]}}}
    made = request(MOTIONS, count=40, workspace=asked)
    table = synthesize(plan_shards(made)[0]).table
    bases = np.array([part[0] for part in rows(table, "object/base/position", 3)])
    assert ((bases[:, 2] >= TABLE + 0.05 - 1e-6) & (bases[:, 2] <= TABLE + 0.15 + 1e-6)).all()
    assert abs(bases[:, 2].mean() - (TABLE + 0.1)) < 0.02
    high = action_range(made)["position"]["max"][2] - action_range(request(MOTIONS))["position"]["max"][2]
    assert high == pytest.approx(0.15)
    for row, base in enumerate(bases):
        motion = MOTIONS.motions[table["source"][row].as_py()]
        # Where the block lies, everything is as high as it was; what is left on the base is as much higher as that.
        tool = rows(table, "ee_position", 3)[row][:, 2]
        time, segment = (rows(table, name, 1)[row][:, 0] for name in ("source_time", "segment"))
        commanded = CubicSpline(np.arange(motion.steps), motion.commanded.position[:, 2])(time)
        lift = np.where(segment == 3, base[2] - TABLE, 0.0)
        skill = np.isin(segment, (1, 3))
        np.testing.assert_allclose(tool[skill], (commanded + lift)[skill], atol=1.2e-3)
        block = rows(table, "object/block/position", 3)[row][:, 2]
        assert block[0] == pytest.approx(TABLE, abs=1e-6)
        assert block[-1] - base[2] == pytest.approx(motion.objects[0].position[-1, 2] - TABLE, abs=2e-3)


def test_each_demonstration_is_copied_equally_often_or_the_nearest_is() -> None:
    ids = np.arange(4000)
    workspace = request(MOTIONS).workspace
    assert isinstance(workspace, Objects)
    first = draw_layouts(workspace, 3, ids, np.zeros_like(ids))
    later = draw_layouts(workspace, 3, ids, np.full_like(ids, 7))
    # The demonstration belongs to the id, whatever was rejected before.
    np.testing.assert_array_equal(first.source, later.source)
    assert np.abs(first.moved - later.moved).max() > 0.01
    counts = np.bincount(first.source, minlength=5)
    assert np.abs(counts - 800).max() < 3 * (4000 * 0.2 * 0.8) ** 0.5
    nearest = request(MOTIONS, workspace={"source": "nearest"}).workspace
    assert isinstance(nearest, Objects)
    drawn = draw_layouts(nearest, 3, ids[:300], np.zeros_like(ids[:300]))
    known = demonstrated_layouts(sources(MOTIONS))
    allowed = spans(nearest)
    assert allowed.least_distance > 0.1
    moved = np.linalg.norm(drawn.moved[..., :2], axis=-1)
    assert moved.shape == (300, 2)
    assert len(set(drawn.source.tolist())) == len(known)


@pytest.mark.parametrize("arm", ["panda", "ur5", "xarm7"])
def test_rows_keep_every_limit_of_whatever_arm_follows_them(arm: str) -> None:
    table = make(MOTIONS, robot=arm, count=64, columns=["joint_acceleration", "profile_time", "profile_jerk"])
    robot = robot_model(find_arm(arm))
    limits = robot.spec.limits
    q, qd, qdd = (
        np.concatenate(rows(table, name, robot.dof))
        for name in ("joint_position", "joint_velocity", "joint_acceleration")
    )
    assert ((q >= limits.lower) & (q <= limits.upper)).all()
    assert (np.abs(qd) <= limits.velocity).all()
    assert (np.abs(qdd) <= limits.acceleration).all()
    jerk = np.concatenate([part.reshape(-1, robot.dof, 7) for part in rows(table, "profile_jerk", 7 * robot.dof)])
    assert (np.abs(jerk) <= limits.jerk[:, None] * (1 + 1e-9)).all()
    position, _ = robot.tool_poses(q.astype(np.float32))
    np.testing.assert_allclose(np.concatenate(rows(table, "ee_position", 3)), position, atol=1e-6)
    for part in rows(table, "joint_velocity", robot.dof):
        assert np.abs(part[[0, -1]]).max() == 0


def test_a_copy_is_never_faster_than_its_demonstration_by_much_and_seldom_much_slower() -> None:
    table = make(MOTIONS, count=128)
    ratios = []
    for row in range(128):
        motion = MOTIONS.motions[table["source"][row].as_py()]
        fastest = np.linalg.norm(np.diff(motion.commanded.position, axis=0), axis=1).max()
        turn = geodesic_angle(motion.commanded.rotation[1:], motion.commanded.rotation[:-1]).max()
        own = np.linalg.norm(np.diff(rows(table, "ee_position", 3)[row], axis=0), axis=1).max()
        assert own <= 1.1 * (fastest + 0.15 * turn)
        ratios.append(table["length"][row].as_py() / motion.steps)
    assert np.median(ratios) < 1.25
    assert max(ratios) < 2.0


def test_the_same_rows_whatever_the_batch_and_the_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = request(MOTIONS, count=60, shard_rows=60, workspace={"start_jitter": {"position": 0.02, "angle_deg": 5.0}})
    plan = plan_shards(whole)[0]
    expected = content_hash(synthesize(plan).table)
    for size in (1, 7, 59):
        assert content_hash(synthesize(plan, batch_rows=size).table) == expected
    parts = [synthesize(part).table for part in plan_shards(request(MOTIONS, count=60, shard_rows=13, workspace={
        "start_jitter": {"position": 0.02, "angle_deg": 5.0}}))]  # fmt: skip
    joined = pa.concat_tables(parts).combine_chunks()
    assert content_hash(joined) == expected
    monkeypatch.setattr(pending, "BATCH_SAMPLES", 500)
    assert content_hash(synthesize(plan).table) == expected


def test_columns_are_as_the_schema_says() -> None:
    table = make(MOTIONS, count=8)
    names = ["source", "source_time", "segment"]
    names += [f"object/{thing.name}/{part}" for thing in MOTIONS.objects for part in ("position", "rotation_6d")]
    assert table.schema.names[-len(names) :] == names
    assert [column.name for column in columns_of(table.schema)] == table.schema.names
    length = table["length"].to_numpy()
    for column in columns_of(table.schema):
        if column.shape.startswith("T"):
            sizes = np.diff(list_column(table, column.name)[1])
            np.testing.assert_array_equal(sizes, length * column.width(7))
    assert set(table["family"].to_pylist()) == {"demonstrated"}
    other = TrajectoryRequest.parse({"robot": "panda", "count": 3})
    assert not set(names) & set(synthesize(plan_shards(other)[0]).table.schema.names)


def test_start_jitter_moves_the_first_pose_and_nothing_that_is_relative_to_an_object() -> None:
    still = make(only(0), count=40, workspace={"objects": {}})
    jittered = make(only(0), count=40, workspace={"start_jitter": {"position": 0.03, "angle_deg": 10.0}})
    first = np.array([part[0] for part in rows(jittered, "ee_position", 3)])
    home = rows(still, "ee_position", 3)[0][0]
    away = np.linalg.norm(first - home, axis=1)
    assert away.max() <= 0.03 + 1e-6
    assert np.mean(away) > 0.01
    for row in range(40):
        segment = rows(jittered, "segment", 1)[row][:, 0]
        end = rows(jittered, "ee_position", 3)[row][segment == 3][-1]
        np.testing.assert_allclose(end, rows(still, "ee_position", 3)[0][-1], atol=1e-5)


@given(seed=st.integers(0, 2**63 - 1), symmetry=st.sampled_from([1, 2, 4, 30]))
@settings(max_examples=15, deadline=None)
def test_limits_and_objects_hold_for_any_seed_and_symmetry(seed: int, symmetry: int) -> None:
    things = tuple(MovedObject(thing.name, symmetry) for thing in MOTIONS.objects)
    table = make(replace(MOTIONS, objects=things), seed=seed, count=8)
    limits = robot_model(find_arm("panda")).spec.limits
    q = np.concatenate(rows(table, "joint_position", 7))
    assert ((q >= limits.lower) & (q <= limits.upper)).all()
    for part in rows(table, "object/block/rotation_6d", 6):
        turned = rot6d_to_matrix(part)
        np.testing.assert_allclose(turned[:, :2].reshape(-1, 6), part, atol=1e-5)
        # Whatever symmetry the hand makes use of, the block itself never turns on its own.
        assert np.rad2deg(geodesic_angle(turned[1:], turned[:-1])).max() < 12


@pytest.mark.parametrize(
    ("workspace", "pointer", "message"),
    [
        ({"motions": "0" * 64}, "/workspace/motions", "no motions file of this sha256"),
        ({"motions": "x"}, "/workspace/motions", "64 hexadecimal digits"),
        ({"motions": 5}, "/workspace/motions", "64 hexadecimal digits"),
        ({"objects": {"cup": {}}}, "/workspace/objects", "the motions have no object 'cup'; they have block, base"),
        ({"objects": {"base": {"min": [0, 0]}}}, "/workspace/objects/base", "give both, or neither"),
        ({"objects": {"base": {"min": [1, 0], "max": [0, 0]}}}, "/workspace/objects/base", "min must not be above max"),
        ({"objects": {"base": {"yaw_deg": [9, 3]}}}, "/workspace/objects/base", "a range is"),
        ({"objects": {"base": {"height": [0.2, 0.1]}}}, "/workspace/objects/base", "a range is [lowest, highest]"),
        ({"widen": -1}, "/workspace/widen", "greater than or equal to 0"),
        ({"source": "best"}, "/workspace/source", "'any' or 'nearest'"),
    ],
)
def test_what_makes_no_sense_is_refused(workspace: dict[str, Any], pointer: str, message: str) -> None:
    with pytest.raises(RequestError) as error:
        request(MOTIONS, workspace=workspace)
    (where, detail), *_ = error.value.problems
    assert where == pointer
    assert message in detail


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"families": {"via_points": 1.0}}, "only go together"),
        ({"families": {"demonstrated": 1.0, "hold": 1.0}}, "only go together"),
        ({"tool_speed": [0.1, 0.2]}, "copies have the speeds of their demonstrations; leave tool_speed out"),
        ({"robot": "so101"}, "which can't give the tool any position and orientation"),
    ],
)
def test_what_does_not_go_with_copies_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        request(MOTIONS, **change)
    with pytest.raises(RequestError, match="only go together"):
        TrajectoryRequest.parse({"robot": "panda", "count": 1, "families": {"demonstrated": 1.0}})


def test_a_request_is_identified_by_the_content_of_its_motions() -> None:
    one = request(MOTIONS)
    assert one.resolved()["workspace"] == {"kind": "objects", "motions": MOTIONS.content_sha256}
    assert "families" not in one.resolved()
    assert request(MOTIONS, families={"demonstrated": 1.0}).dataset_id == one.dataset_id
    assert request(replace(MOTIONS, task="other")).dataset_id != one.dataset_id


def test_what_the_arm_can_not_do_is_rejected_with_its_reason() -> None:
    far = {"objects": {"base": {"min": [0.9, 0.5], "max": [1.0, 0.6]}}}
    with pytest.raises(SynthesisError, match=r"copy_unreachable|copy_joint_limit|copy_too_fast|outside_range"):
        make(MOTIONS, count=16, workspace=far)
    crowded = {"least_distance": 1.5}
    with pytest.raises(SynthesisError, match=r"objects_too_near.*lower least_distance"):
        make(MOTIONS, count=16, workspace=crowded)


def test_the_step_of_a_sample_is_that_of_the_time_that_is_written() -> None:
    """Rounded to float32, a time just before a step may be written as that step."""
    time = np.array([63.0, 64 - 1e-3, 64 - 5e-5, 64 - 1.5e-6, 64 - 5e-7, 64 + 5e-7, 511.99999, 16383.9998, 16383.0])
    written, step = as_written(time)
    assert step.tolist() == [63, 63, 63, 64, 64, 64, 512, 16384, 16383]
    assert np.array_equal(step, np.floor(written.astype(np.float64)))
    np.testing.assert_allclose(written, time, atol=1e-3)
    # A finer step below 64 is a number of its own: nothing is moved that far.
    assert written[2] < 64 == written[3]
