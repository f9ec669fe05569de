"""The layout of both LeRobot versions, read by what their documents say rather than by our writer's code."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.export import ACTION_LABELS, ACTIONS, Content, export_dataset
from services.export.episodes import read_episodes
from services.export.lerobot_v3 import LeRobotV3
from shared.dataset import Dataset
from shared.statistics import merge_statistics
from tests.services.export.expected import Row, expected_rows
from trainer.data.demonstrations import read_demonstrations
from trainer.data.demonstrations.mapping.mapping import Mapping

VECTORS = ("observation.state", "action")
SCALARS = ("timestamp", "frame_index", "episode_index", "index", "task_index")


@pytest.fixture(scope="module")
def rows(reference: Dataset) -> list[Row]:
    return expected_rows(reference.root)


def _files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def _json_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _check_steps(table: pa.Table, rows: list[Row], tasks: dict[int, str], kind: str, label: str) -> None:
    """Every value of every step of these rows, the first of them episode 0."""
    state = np.concatenate([row.state for row in rows])
    action = np.concatenate([row.action(kind, label) for row in rows])
    lengths = [len(row.state) for row in rows]
    assert table.num_rows == sum(lengths)
    assert table.schema.field("action").type == pa.list_(pa.float32(), action.shape[1])
    found = {name: np.array(table.column(name).to_pylist(), np.float32) for name in VECTORS}
    assert np.array_equal(found["observation.state"], state)
    assert np.array_equal(found["action"], action)
    frame = np.concatenate([np.arange(n) for n in lengths])
    expected = {
        "timestamp": np.array([k / 20 for k in frame], np.float32),
        "frame_index": frame,
        "episode_index": np.repeat(np.arange(len(rows)), lengths),
        "index": np.arange(sum(lengths)),
    }
    for name, values in expected.items():
        assert table.column(name).to_numpy().dtype == (np.float32 if name == "timestamp" else np.int64)
        assert np.array_equal(table.column(name).to_numpy(), values), name
    families = [row.family for row in rows for _ in range(len(row.state))]
    assert [tasks[index] for index in table.column("task_index").to_pylist()] == families


def _check_info(info: dict[str, Any], version: str, rows: list[Row], kind: str, joints: list[str]) -> None:
    assert info["codebase_version"] == version
    assert (info["fps"], info["robot_type"], info["video_path"]) == (20, "panda", None)
    assert (info["total_episodes"], info["total_frames"]) == (len(rows), sum(len(row.state) for row in rows))
    assert (info["total_tasks"], info["splits"]) == (2, {"train": f"0:{len(rows)}"})
    assert list(info["features"]) == [*VECTORS, *SCALARS]
    state = {"dtype": "float32", "shape": [8], "names": [*joints, "gripper"]}
    assert info["features"]["observation.state"] == state
    poses = ["x", "y", "z", *(f"rotation_6d_{i}" for i in range(6)), "gripper"]
    pose = {"dtype": "float32", "shape": [10], "names": poses}
    assert info["features"]["action"] == (state if kind == "joint_position" else pose)
    assert info["features"]["timestamp"] == {"dtype": "float32", "shape": [1], "names": None}
    assert info["features"]["index"] == {"dtype": "int64", "shape": [1], "names": None}


def _check_statistics(found: dict[str, Any], values: Any) -> None:
    """Statistics of (n, width) values, to the last digits of float64."""
    values = np.asarray(values, np.float64)
    assert found["count"] == [len(values)]
    assert np.array_equal(found["min"], values.min(axis=0))
    assert np.array_equal(found["max"], values.max(axis=0))
    assert np.allclose(found["mean"], values.mean(axis=0), rtol=1e-12, atol=1e-12)
    assert np.allclose(found["std"], values.std(axis=0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("kind", "label"), list(zip(ACTIONS, ACTION_LABELS, strict=True)))
def test_v3(reference: Dataset, rows: list[Row], tmp_path: Path, kind: Any, label: Any) -> None:
    out = tmp_path / "out"
    assert export_dataset(reference, out, "lerobot-v3", Content(reference.header, kind, label)) == 230
    assert _files(out) == [
        "data/chunk-000/file-000.parquet",
        "meta/episodes/chunk-000/file-000.parquet",
        "meta/headstart.json",
        "meta/info.json",
        "meta/stats.json",
        "meta/tasks.parquet",
    ]
    info = json.loads((out / "meta/info.json").read_text())
    _check_info(info, "v3.0", rows, kind, list(reference.header.robot.joint_names))
    assert info["data_path"].format(chunk_index=0, file_index=0) == "data/chunk-000/file-000.parquet"
    table = pq.read_table(out / "data/chunk-000/file-000.parquet")
    kept = pq.read_table(out / "meta/tasks.parquet")
    assert json.loads(kept.schema.metadata[b"pandas"])["index_columns"] == ["task"]
    tasks = dict(zip(kept.column("task_index").to_pylist(), kept.column("task").to_pylist(), strict=True))
    _check_steps(table, rows, tasks, kind, label)
    statistics = json.loads((out / "meta/stats.json").read_text())
    assert list(statistics) == list(info["features"])
    episodes = pq.read_table(out / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert len(episodes) == 230
    end = 0
    for index, (episode, row) in enumerate(zip(episodes, rows, strict=True)):
        begin, end = end, end + len(row.state)
        assert (episode["episode_index"], episode["length"], episode["tasks"]) == (index, end - begin, [row.family])
        assert (episode["dataset_from_index"], episode["dataset_to_index"]) == (begin, end)
        places = ("data/chunk_index", "data/file_index", "meta/episodes/chunk_index", "meta/episodes/file_index")
        assert [episode[place] for place in places] == [0, 0, 0, 0]
        for name, values in (("observation.state", row.state), ("action", row.action(kind, label))):
            found = {key: episode[f"stats/{name}/{key}"] for key in ("min", "max", "mean", "std", "count")}
            _check_statistics(found, values)
    for name in VECTORS:
        _check_statistics(statistics[name], np.array(table.column(name).to_pylist()))
    for name in SCALARS:
        _check_statistics(statistics[name], table.column(name).to_numpy()[:, None])


def test_v3_statistics_of_the_state_are_those_of_the_commits(reference: Dataset, tmp_path: Path) -> None:
    export_dataset(reference, tmp_path / "out", "lerobot-v3", Content(reference.header))
    statistics = json.loads((tmp_path / "out/meta/stats.json").read_text())["observation.state"]
    first, *others = [reference.statistics(commit.index)["joint_position"] for commit in reference.commits()]
    for other in others:
        first = merge_statistics(first, other)
    assert np.array_equal(statistics["min"][:7], first["min"])
    assert np.allclose(statistics["mean"][:7], first["mean"], rtol=1e-12)
    assert np.allclose(statistics["std"][:7], np.sqrt(np.array(first["M2"]) / first["count"]), rtol=1e-9)


def test_v3_files_are_filled_to_their_size_and_never_split_an_episode(
    reference: Dataset, rows: list[Row], tmp_path: Path
) -> None:
    writer = LeRobotV3(tmp_path, Content(reference.header), file_bytes=300_000)
    for episodes in read_episodes(reference, reference.commits()):
        writer.write(episodes)
    writer.close()
    paths = sorted((tmp_path / "data").rglob("*.parquet"))
    assert len(paths) > 3
    assert all(path.stat().st_size > 300_000 for path in paths[:-1])
    tables = [pq.read_table(path) for path in paths]
    kept = pq.read_table(tmp_path / "meta/tasks.parquet").to_pylist()
    _check_steps(pa.concat_tables(tables), rows, {row["task_index"]: row["task"] for row in kept}, "ee_pose", "reached")
    for path in sorted((tmp_path / "meta/episodes").rglob("*.parquet")):
        for episode in pq.read_table(path).to_pylist():
            own, place = (
                f"chunk-{episode[f'{kind}/chunk_index']:03d}/file-{episode[f'{kind}/file_index']:03d}.parquet"
                for kind in ("meta/episodes", "data")
            )
            assert str(path).endswith(own)
            table = tables[[str(p).endswith(place) for p in paths].index(True)]
            inside = np.array(table.column("episode_index")) == episode["episode_index"]
            assert inside.sum() == episode["length"]


@pytest.mark.parametrize(("kind", "label"), [("joint_position", "reached")])
def test_v21(reference: Dataset, rows: list[Row], tmp_path: Path, kind: Any, label: Any) -> None:
    out = tmp_path / "out"
    export_dataset(reference, out, "lerobot-v2.1", Content(reference.header, kind, label))
    data = [f"data/chunk-000/episode_{index:06d}.parquet" for index in range(230)]
    meta = ["episodes.jsonl", "episodes_stats.jsonl", "headstart.json", "info.json", "stats.json", "tasks.jsonl"]
    assert _files(out) == [*data, *(f"meta/{name}" for name in meta)]
    info = json.loads((out / "meta/info.json").read_text())
    _check_info(info, "v2.1", rows, kind, list(reference.header.robot.joint_names))
    assert (info["total_videos"], info["total_chunks"], info["chunks_size"]) == (0, 1, 1000)
    assert info["data_path"].format(episode_chunk=0, episode_index=7) == data[7]
    tasks = {entry["task_index"]: entry["task"] for entry in _json_lines(out / "meta/tasks.jsonl")}
    _check_steps(pa.concat_tables(pq.read_table(out / path) for path in data), rows, tasks, kind, label)
    episodes = [{"episode_index": i, "tasks": [row.family], "length": len(row.state)} for i, row in enumerate(rows)]
    assert _json_lines(out / "meta/episodes.jsonl") == episodes
    for index, (entry, row) in enumerate(zip(_json_lines(out / "meta/episodes_stats.jsonl"), rows, strict=True)):
        assert entry["episode_index"] == index
        assert list(entry["stats"]) == list(info["features"])
        _check_statistics(entry["stats"]["action"], row.action(kind, label))


def test_the_trainer_reads_an_export_as_demonstrations(reference: Dataset, rows: list[Row], tmp_path: Path) -> None:
    export_dataset(reference, tmp_path / "out", "lerobot-v3", Content(reference.header))
    action = {
        "space": "ee_pose",
        "position": {"columns": "action[0:3]"},
        "rotation": {"columns": "action[3:9]", "encoding": "rot6d"},
        "gripper": {"columns": "action[9]", "open": -1.0, "closed": 1.0},
    }
    observation = {"low_dim": ["observation.state"]}
    # At full speed the tool moves faster than any demonstration's should.
    settings = {"only_task": "*", "accept": ["continuity"]}
    mapping = Mapping.model_validate({"action": action, "observation": observation, **settings})
    read = read_demonstrations(tmp_path / "out", mapping=mapping)
    assert (len(read.episodes), read.robot, read.rate_hz) == (230, "panda", 20.0)
    for episode, row in zip(read.episodes, rows, strict=True):
        assert np.array_equal(episode.observations["observation.state"], row.state)
        assert np.abs(episode.actions - row.action("ee_pose", "reached")).max() < 1e-6
