"""Copies of real demonstrations of lift, commanded in the simulator that these were made in."""

import json
import subprocess
from copy import copy as shallow
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.engine import InlineEngine
from services.jobs import begin as begin_dataset
from services.jobs import generate
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from shared.demonstrated_motions import FIXED, FREE, DemonstratedMotions, Segment
from shared.errors import ConfigError, ServiceError, SimulationError
from shared.rotation import geodesic_angle
from tests import warm
from trainer.commands import replay as command
from trainer.data.demonstrations import read_demonstrations
from trainer.data.motions.motions import proposed_motions
from trainer.intervals import wilson
from trainer.json_lines import read_lines
from trainer.progress import silent
from trainer.simulation import replayed_copies
from trainer.simulation.collect import collect
from trainer.simulation.environment import Environment
from trainer.simulation.replay import (
    THE_END,
    THE_START,
    Copy,
    Replayed,
    Replayer,
    begin,
    columns,
    copies_of,
    distance_to_source,
    failed_segment,
    lay,
    segment_names,
)
from trainer.simulation.robosuite_task import SceneObject
from trainer.simulation.scene import load_scene
from trainer.simulation.task import find_task, task_names

COUNT = 10
LIFT = find_task("lift")


@dataclass(frozen=True)
class Copies:
    """A dataset of copies, what they are of, and the copies in it."""

    dataset: Dataset
    motions: DemonstratedMotions
    rows: tuple[Copy, ...]

    @property
    def path(self) -> str:
        return str(self.dataset.root)


def request(motions: DemonstratedMotions, **body: Any) -> TrajectoryRequest:
    workspace = {"kind": "objects", "motions": motions.content_sha256}
    asked = {"robot": "panda", "count": COUNT, "shard_rows": 6, "rate_hz": 20.0, "workspace": workspace}
    return TrajectoryRequest.parse(asked | body, motions={motions.content_sha256: motions}.get)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    """Ten copies of three demonstrations, in two shards."""
    folder = tmp_path_factory.mktemp("copies")
    path = collect("lift", folder / "lift.hdf5", first_seed=20, successes=3)
    read = read_demonstrations(path)
    motions = proposed_motions(read, str(path))
    dataset = generate(request(motions), folder / "dataset", InlineEngine())
    names = columns(["cube"])
    rows = (copy for commit in dataset.commits() for copy in copies_of(dataset.read_shard(commit, names), ["cube"]))
    return Copies(dataset, motions, tuple(rows))


@pytest.fixture(scope="module")
def replayer(copies: Copies) -> Replayer:
    return Replayer(load_scene(LIFT), copies.motions)


@pytest.fixture(scope="module")
def whole(copies: Copies, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command writes of all copies, uninterrupted."""
    out = tmp_path_factory.mktemp("replays") / "replay.json"
    command.run(copies.path, "lift", out=out)
    written: dict[str, Any] = json.loads(out.read_text())
    return written


def test_rows_are_read_as_they_are(copies: Copies) -> None:
    assert [copy.id for copy in copies.rows] == list(range(COUNT))
    table = copies.dataset.read_shard(copies.dataset.commits()[1])
    copy, place = copies.rows[7], 1
    steps = table["length"][place].as_py()
    assert copy.actions.shape == (steps, 10)
    np.testing.assert_array_equal(copy.actions[:, :3].reshape(-1), table["ee_position"][place].as_py())
    np.testing.assert_allclose(copy.actions[:, 3:9].reshape(-1), table["ee_rotation_6d"][place].as_py(), atol=1e-6)
    np.testing.assert_array_equal(copy.actions[:, 9], table["gripper"][place].as_py())
    np.testing.assert_array_equal(copy.row.object_position.reshape(-1), table["object/cube/position"][place].as_py())
    assert copy.segment.tolist() == table["segment"][place].as_py()
    assert copy.row.source == table["source"][place].as_py()


def test_everything_is_where_the_first_sample_has_it(copies: Copies) -> None:
    for copy in copies.rows:
        environment = Environment(load_scene(LIFT), copy.id)
        tool = copy.row.position[0], copy.row.rotation[0]
        cube = copy.row.object_position[0, 0], copy.row.object_rotation[0, 0]
        assert begin(environment, tool, {"cube": cube})
        lies = environment.scene.object_pose(environment.data, "cube")
        assert np.linalg.norm(lies[0] - cube[0]) < 2e-3
        assert np.rad2deg(geodesic_angle(lies[1], cube[1])) < 0.5
        assert np.linalg.norm(environment.tcp_pose()[0] - tool[0]) < 3e-3
        assert np.rad2deg(geodesic_angle(environment.tcp_pose()[1], tool[1])) < 1.0
        assert environment.finger_opening() > 0.075
        assert np.abs(environment.data.qvel).max() < 0.05


@pytest.mark.parametrize("name", task_names())
def test_objects_may_be_laid_anywhere_and_anyhow(name: str) -> None:
    environment = Environment(load_scene(find_task(name)), 0)
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    first, *others = [thing.name for thing in environment.scene.task.objects]
    before = {other: environment.object_pose(other)[0] for other in others}
    lay(environment, {first: (np.array([0.5, 0.1, 0.3]), turn)})
    position, rotation = environment.scene.object_pose(environment.data, first)
    np.testing.assert_allclose(position, [0.5, 0.1, 0.3], atol=1e-9)
    np.testing.assert_allclose(rotation, turn, atol=1e-9)
    for other in others:
        np.testing.assert_allclose(environment.object_pose(other)[0], before[other], atol=1e-9)


def test_what_only_slides_on_the_table_keeps_its_height() -> None:
    environment = Environment(load_scene(find_task("square")), 0)
    height = environment.object_pose("peg")[0][2]
    yaw = np.deg2rad(200.0)
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0.0], [np.sin(yaw), np.cos(yaw), 0.0], [0.0, 0.0, 1.0]])
    lay(environment, {"peg": (np.array([0.6, -0.2, height + 0.1]), turn)})
    position, rotation = environment.scene.object_pose(environment.data, "peg")
    np.testing.assert_allclose(position, [0.6, -0.2, height], atol=1e-9)
    np.testing.assert_allclose(rotation, turn, atol=1e-9)


def test_what_is_fixed_can_not_be_laid() -> None:
    environment = Environment(load_scene(LIFT), 0)
    environment.scene = shallow(environment.scene)
    environment.scene.task = replace(LIFT, objects=(SceneObject("table", "table"),))
    with pytest.raises(SimulationError, match="'table' of task 'lift' can't be laid elsewhere"):
        lay(environment, {"table": (np.zeros(3), np.eye(3))})


def test_most_copies_of_lift_succeed(copies: Copies, whole: dict[str, Any]) -> None:
    entries = whole["copies"]
    assert [entry["id"] for entry in entries] == list(range(COUNT))
    successes = [entry["id"] for entry in entries if entry["success"]]
    assert len(successes) >= 0.6 * COUNT
    assert (whole["count"], whole["successes"]) == (COUNT, len(successes))
    assert whole["interval"] == list(wilson(len(successes), COUNT))
    assert whole["dataset_id"] == copies.dataset.header.dataset_id
    for entry, copy in zip(entries, copies.rows, strict=True):
        assert set(entry) == {"id", "success", "steps", "failed_segment", "distance_m"}
        assert 1 <= entry["steps"] <= len(copy.gripper)
        assert (entry["failed_segment"] is None) == entry["success"]
        assert entry["success"] or entry["steps"] == len(copy.gripper)


def test_groups_are_of_equal_size_and_by_distance(whole: dict[str, Any]) -> None:
    groups = whole["by_distance"]
    assert [(name, group["count"]) for name, group in groups.items()] == [("near", 4), ("middle", 3), ("far", 3)]
    assert sum(group["successes"] for group in groups.values()) == whole["successes"]
    distances = sorted(entry["distance_m"] for entry in whole["copies"])
    spans = [(group["from_m"], group["to_m"]) for group in groups.values()]
    assert spans == [(distances[a], distances[b]) for a, b in ((0, 3), (4, 6), (7, 9))]


def test_a_copy_is_a_function_of_its_row_alone(copies: Copies, replayer: Replayer, whole: dict[str, Any]) -> None:
    for copy in copies.rows[::-3]:
        entry, replayed = whole["copies"][copy.id], replayer.replay(copy)
        assert (replayed.success, replayed.steps) == (entry["success"], entry["steps"])


def test_success_counts_at_any_step_as_in_rollouts(copies: Copies, replayer: Replayer) -> None:
    copy = next(copy for copy in copies.rows if replayer.replay(copy).success)
    steps = replayer.replay(copy).steps
    assert replayer.replay(shortened(copy, steps)) == replayer.replay(copy)
    assert not replayer.replay(shortened(copy, steps - 1)).success


def shortened(copy: Copy, steps: int) -> Copy:
    row = copy.row
    first = replace(
        row,
        source_time=row.source_time[:steps],
        position=row.position[:steps],
        rotation=row.rotation[:steps],
        object_position=row.object_position[:steps],
        object_rotation=row.object_rotation[:steps],
    )
    return replace(copy, row=first, gripper=copy.gripper[:steps], segment=copy.segment[:steps])


def test_a_failure_is_told_by_where_the_object_is_left(copies: Copies, replayer: Replayer) -> None:
    copy = copies.rows[0]
    names = segment_names(copies.motions.motions[copy.row.source], ["cube"])
    assert names == ["free 1", "with cube"]
    never_closed = replace(copy, gripper=-np.ones_like(copy.gripper))
    found = replayer.replay(never_closed)
    assert (found.success, found.steps) == (False, len(copy.gripper))
    assert found.astray is not None
    assert found.astray > np.flatnonzero(copy.gripper > 0)[0]
    # The cube stays, so it is astray once it should have risen by 3 cm, or soon after: the arm lags.
    rise = copy.row.object_position[:, 0, 2] - copy.row.object_position[0, 0, 2]
    assert 0 <= found.astray - np.flatnonzero(rise > 0.03)[0] <= 6
    assert failed_segment(copy, found, names) == "with cube"


def test_a_copy_that_ends_too_soon_fails_at_the_end(copies: Copies, replayer: Replayer) -> None:
    early = shortened(copies.rows[0], 10)
    assert replayer.replay(early) == Replayed(False, 10, None)
    assert failed_segment(early, Replayed(False, 10, None), ["free 1", "with cube"]) == THE_END


def test_a_copy_that_begins_out_of_reach_fails_at_the_start(copies: Copies, replayer: Replayer) -> None:
    copy = copies.rows[0]
    away = replace(copy, row=replace(copy.row, position=copy.row.position + np.array([0.0, 0.0, 2.0])))
    assert replayer.replay(away) == Replayed(False, 0, 0)
    assert failed_segment(away, Replayed(False, 0, 0), ["free 1", "with cube"]) == THE_START
    assert failed_segment(copy, Replayed(True, 40, None), ["free 1", "with cube"]) is None


def test_the_distance_is_that_of_the_object_that_lies_farthest(copies: Copies) -> None:
    copy = copies.rows[0]
    motion = copies.motions.motions[copy.row.source]
    before = motion.objects[0].position[0, :2]
    expected = np.hypot(*(copy.row.object_position[0, 0, :2] - before))
    assert distance_to_source(copy, motion) == pytest.approx(expected)
    two = replace(motion, objects=motion.objects * 2)
    places = np.stack([motion.objects[0].position[0], motion.objects[0].position[0] + [0.3, 0.4, 9.0]])
    moved = replace(copy, row=replace(copy.row, object_position=places[None]))
    assert distance_to_source(moved, two) == pytest.approx(0.5)


def test_segments_have_names_that_tell_them_apart(copies: Copies) -> None:
    relative_to = (FREE, 0, FREE, 1, FREE, 0, FREE, FIXED)
    segments = tuple(Segment(end, thing) for end, thing in enumerate(relative_to, 1))
    motion = replace(copies.motions.motions[0], segments=segments)
    assert segment_names(motion, ["a", "b"]) == [
        "free 1", "with a", "free 2", "with b", "free 3", "with a 2", "free 4", "at a fixed place"
    ]  # fmt: skip


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ids of the copies that are replayed."""
    ids: list[int] = []
    original = Replayer.replay

    def replay(self: Replayer, copy: Copy) -> Replayed:
        ids.append(copy.id)
        return original(self, copy)

    monkeypatch.setattr(Replayer, "replay", replay)
    return ids


def test_interrupted_it_goes_on_and_gives_the_same(
    copies: Copies, whole: dict[str, Any], tmp_path: Path, counted: list[int]
) -> None:
    out = tmp_path / "deep" / "replay.json"
    log = out.with_suffix(".jsonl")

    def interrupt(done: int, total: int, note: str = "") -> None:
        assert total == COUNT
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replayed_copies.replay_copies(copies.dataset, LIFT, copies.motions, COUNT, log, interrupt)
    assert counted == [0, 1, 2, 3]
    assert not out.exists()
    # As if it had been killed while it wrote a fifth line, in a file that knows another task's copies.
    other = {"id": 4, "success": True, "steps": 1, "dataset_id": "another", "task": "lift"}
    log.write_text(json.dumps(other) + "\n" + log.read_text() + '{"id": 4, "succ')
    command.run(copies.path, "lift", out=out)
    assert counted == list(range(COUNT))
    assert json.loads(out.read_text()) == {key: value for key, value in whole.items() if key != "kept"}
    before = out.read_bytes()
    assert [line["id"] for line in read_lines(log)] == list(range(COUNT))
    told: list[int] = []
    replayed_copies.replay_copies(
        copies.dataset, LIFT, copies.motions, 3, log, lambda done, total, note="": told.append(done)
    )
    command.run(copies.path, "lift", out=out)
    assert counted == list(range(COUNT))
    assert out.read_bytes() == before
    assert told == [3]


def test_only_the_first_are_replayed(copies: Copies, whole: dict[str, Any], counted: list[int]) -> None:
    entries = replayed_copies.replay_copies(copies.dataset, LIFT, copies.motions, 2, None, silent)
    assert counted == [0, 1]
    assert entries == whole["copies"][:2]
    groups = replayed_copies.summarize_replays(entries, copies.motions)["by_distance"]
    assert {name: group["count"] for name, group in groups.items()} == {"near": 1, "middle": 1}


def test_the_table_says_what_was_found(copies: Copies) -> None:
    segments = [None] * 5 + ["with cube", THE_END, "with cube", "free 1"]
    entries = [
        {"id": place, "success": name is None, "steps": 9, "failed_segment": name, "distance_m": place / 100}
        for place, name in enumerate(segments)
    ]
    summary = replayed_copies.summarize_replays(entries, copies.motions)
    assert list(summary["failures"].items()) == [("free 1", 1), ("with cube", 2), (THE_END, 1)]
    assert replayed_copies.describe_replays(summary, "lift") == [
        "copies of lift that succeeded: 5 of 9 (56 %, 95 % interval 27 to 81 %)",
        "where the others failed:",
        "  free 1     1",
        "  with cube  2",
        "  the end    1",
        "by how far the objects lie from where they lay in the demonstration:",
        "  near    0 to 2 cm    3 of 3 (100 %, 95 % interval 44 to 100 %)",
        "  middle  3 to 5 cm    2 of 3 (67 %, 95 % interval 21 to 94 %)",
        "  far     6 to 8 cm    0 of 3 (0 %, 95 % interval 0 to 56 %)",
    ]


def test_what_can_not_be_commanded_there_is_refused(copies: Copies, tmp_path: Path) -> None:
    begin_dataset(TrajectoryRequest.parse({"robot": "panda", "count": 4}), tmp_path / "none")
    begin_dataset(request(copies.motions, rate_hz=50.0), tmp_path / "fast")
    begin_dataset(request(copies.motions, robot="ur5"), tmp_path / "other")
    for name, task, message in (
        ("none", "lift", "has no copies of demonstrations: its request has another workspace than 'objects'"),
        ("fast", "lift", "is at 50 Hz, the simulator acts at 20 Hz; make copies at its rate"),
        ("other", "lift", "is for the robot 'ur5', the simulator has a 'panda'"),
        ("fast", "stack", "is at 50 Hz"),
    ):
        with pytest.raises(ConfigError, match=message):
            command.run(str(tmp_path / name), task)
    with pytest.raises(ConfigError, match="is of 'lift', with the objects cube; task 'stack' has cube_a, cube_b"):
        command.run(copies.path, "stack")
    with pytest.raises(ConfigError, match="--count 0: it must be at least 1"):
        command.run(copies.path, "lift", count=0)
    with pytest.raises(ConfigError, match="a file of that name is kept beside it"):
        command.run(copies.path, "lift", out=tmp_path / "a.jsonl")
    (tmp_path / "copies.json").write_text(json.dumps({"url": "http://localhost:1/v1/jobs/x"}))
    with pytest.raises(ServiceError, match="is not a job's URL"):
        command.run(str(tmp_path / "copies.json"), "lift")
    (tmp_path / "copies.json").write_text("[]")
    with pytest.raises(ConfigError, match="is not what `python -m trainer copies` wrote"):
        command.run(str(tmp_path / "copies.json"), "lift")


def test_it_is_a_command(copies: Copies) -> None:
    arguments = [warm.python("trainer"), "-m", "trainer", "replay", copies.path, "--task", "stack"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: dataset ")
    assert "task 'stack' has cube_a, cube_b" in done.stderr
