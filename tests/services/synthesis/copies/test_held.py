"""What the hand of a copy holds stays out of keep-outs and off the arm, where its size is given."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import coal
import numpy as np
import pytest
from numpy.typing import NDArray

from services.audit.audit import audit_dataset
from services.engine import InlineEngine
from services.jobs import generate
from services.synthesis.pipeline import plan_shards, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from shared.demonstrated_motions import DemonstratedMotions, Held, Poses, Segment
from shared.errors import RequestError, SynthesisError
from shared.records import list_column
from tests.stacking import TABLE, motions

FloatArray = NDArray[np.float64]

MOTIONS = motions(4)
TALL = (0.04, 0.04, 0.17)
WALL = {"kind": "box", "min": [0.49, -0.02, -0.3], "max": [0.9, 0.0, TABLE + 0.08]}
"""Between the block and the base, lower than the hand carries the block; some copies pass beside it."""


def request(size: Any, keep_out: Any = (WALL,), of: DemonstratedMotions = MOTIONS, **changes: Any) -> TrajectoryRequest:
    objects = {} if size is None else {"block": {"size": size}}
    workspace = {"kind": "objects", "motions": of.content_sha256, "objects": objects}
    body = {"robot": "panda", "count": 40, "rate_hz": 100.0, "keep_out": list(keep_out), "workspace": workspace}
    return TrajectoryRequest.parse(body | changes, motions={of.content_sha256: of}.get)


def depth_in_wall(row: int, rows: dict[str, Any], size: tuple[float, float, float]) -> float:
    """How deep the block reaches into the wall, at the samples at which it is carried."""
    own, motion = slice(*rows["first"][row : row + 2]), MOTIONS.motions[int(rows["source"][row])]
    (hold,) = motion.held
    middle = (hold.first + hold.end - 1) // 2
    hand = motion.reached.rotation[middle]
    shift = hand.T @ (motion.objects[0].position[middle] - motion.reached.position[middle])
    turn = hand.T @ motion.objects[0].rotation[middle]
    path = motion.commanded.position + motion.commanded.rotation @ shift
    ends = [np.linalg.norm(path - path[step], axis=1) for step in (hold.first, hold.end - 1)]
    steps = [t for t in range(hold.first, hold.end) if min(ends[0][t], ends[1][t]) > 0.01]
    low, high = np.array(WALL["min"]), np.array(WALL["max"])
    wall, block, deepest = coal.Box(high - low), coal.Box(*size), -np.inf
    at_wall = coal.Transform3s(np.eye(3), (low + high) / 2)
    for position, six, time in zip(*(rows[name][own] for name in ("position", "rotation", "time")), strict=True):
        if steps[0] <= time[0] <= steps[-1]:
            rotation = np.stack([six[:3], six[3:], np.cross(six[:3], six[3:])])
            at = coal.Transform3s(rotation @ turn, position + rotation @ shift)
            found = coal.distance(block, at, wall, at_wall, coal.DistanceRequest(), coal.DistanceResult())
            deepest = max(deepest, -found)
    return deepest


def made(asked: TrajectoryRequest) -> tuple[dict[str, Any], Any]:
    shard = synthesize(plan_shards(asked)[0])
    names = {"position": "ee_position", "rotation": "ee_rotation_6d", "time": "source_time"}
    rows: dict[str, Any] = {"source": shard.table.column("source").to_numpy()}
    for name, column in names.items():
        values, _ = list_column(shard.table, column)
        rows["first"] = np.concatenate([[0], np.cumsum(shard.table.column("length").to_numpy())])
        rows[name] = values.reshape(rows["first"][-1], -1).astype(np.float64)
    return rows, shard


def test_what_is_held_meets_no_keep_out_and_other_copies_are_as_they_were() -> None:
    blind, without = made(request(None))
    careful, shard = made(request(TALL))
    before = np.array([depth_in_wall(row, blind, TALL) for row in range(40)])
    after = np.array([depth_in_wall(row, careful, TALL) for row in range(40)])
    assert (before > 2e-3).sum() > 5
    assert after.max() < 2e-3
    assert shard.rejections["held_collision"] >= (before > 2e-3).sum()
    same = np.array([without.table.slice(row, 1).equals(shard.table.slice(row, 1)) for row in range(40)])
    assert not same[before > 2e-3].any()
    # Of the box that is looked at every side is a millimetre farther in.
    assert same[before < 1e-3].all()
    assert (before < 1e-3).sum() > 5


def test_small_things_change_nothing() -> None:
    assert made(request((0.04, 0.04, 0.04)))[1].table.equals(made(request(None))[1].table)


def test_what_rests_on_the_table_may_touch_it_until_it_is_lifted() -> None:
    table = {"kind": "half_space", "normal": [0, 0, 1], "offset": TABLE - 0.02}
    for height in (0.04, 0.055):
        _, shard = made(request((0.04, 0.04, height), [table]))
        assert shard.rejections.get("held_collision", 0) == 0
    # A centimetre above where it lay it would still be four deep in the table.
    with pytest.raises(SynthesisError, match="rejections were 'held_collision': what is held meets the arm or a"):
        made(request((0.04, 0.04, 0.14), [table], count=4))


def test_what_is_held_meets_no_link() -> None:
    long = (1.6, 0.6, 0.04)
    _, blind = made(request(None, [], self_collision=False))
    assert made(request(long, [], self_collision=False))[1].table.equals(blind.table)
    with pytest.raises(SynthesisError, match="held_collision"):
        made(request(long, [], count=4))


def test_the_audit_finds_what_reaches_in_and_nothing_else(tmp_path: Path) -> None:
    asked = request(TALL, count=12, rate_hz=20.0, columns=["profile_time", "profile_jerk"])
    report = audit_dataset(generate(asked, tmp_path / "careful", InlineEngine()))
    assert report.violations == 0
    assert report.checks["what is held"].checked == 12
    assert report.checks["what is held"].worst < 1.8e-3
    blind = request(None, count=12, rate_hz=20.0, columns=["profile_time", "profile_jerk"])
    generate(blind, tmp_path / "blind", InlineEngine())
    path = tmp_path / "blind" / "dataset.json"
    header = json.loads(path.read_text())
    header["request"]["workspace"]["objects"] = {"block": {"size": list(TALL)}}
    path.write_text(json.dumps(header))
    report = audit_dataset(Dataset(tmp_path / "blind"))
    found = report.checks["what is held"]
    assert found.violations > 0
    assert found.worst > 5e-3


@pytest.mark.parametrize("size", [(0.0, 0.1, 0.1), (0.1, 0.1), (0.1, 0.1, 3.0), "large"])
def test_sizes_are_checked(size: Any) -> None:
    with pytest.raises(RequestError, match="/workspace/objects/block/size"):
        request(size)


def test_what_is_in_the_hand_at_the_end_is_looked_at_to_the_end() -> None:
    whole = MOTIONS.motions[0]
    (hold,) = whole.held
    steps = hold.first + 32
    cut = replace(
        whole,
        commanded=Poses(whole.commanded.position[:steps], whole.commanded.rotation_6d[:steps]),
        reached=Poses(whole.reached.position[:steps], whole.reached.rotation_6d[:steps]),
        gripper=whole.gripper[:steps],
        objects=tuple(Poses(one.position[:steps], one.rotation_6d[:steps]) for one in whole.objects),
        segments=(*(one for one in whole.segments if one.end < steps), Segment(steps)),
        held=(Held(hold.index, hold.first, steps),),
    )
    of = replace(MOTIONS, motions=(cut,))
    ahead = cut.commanded.position[-1] - cut.commanded.position[-3]
    ahead[2] = 0.0
    ahead /= np.linalg.norm(ahead)
    middle = (hold.first + steps - 1) // 2
    hand = cut.reached.rotation[middle]
    turn = cut.commanded.rotation[-1] @ hand.T
    place = cut.commanded.position[-1] + turn @ (cut.objects[0].position[middle] - cut.reached.position[middle])
    size = np.array([0.3, 0.3, 0.04])
    foremost = ahead @ place + np.abs(ahead @ turn @ cut.objects[0].rotation[middle]) @ size / 2
    # It is reached in the last six millimetres, and nowhere before; after its last step a copy goes on until it rests.
    for deep, fits in ((0.006, False), (-0.03, True)):
        wall = {"kind": "half_space", "normal": (-ahead).tolist(), "offset": float(deep - foremost)}
        asked = request(tuple(size.tolist()), [wall], of=of, count=4)
        if fits:
            assert made(asked)[1].rejections == {}
        else:
            with pytest.raises(SynthesisError, match="held_collision"):
                made(asked)
