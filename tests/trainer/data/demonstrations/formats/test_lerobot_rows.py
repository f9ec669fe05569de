"""What LeRobot data sets of other writers hold: list types, numbering, nulls in meta/, and files of another version."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from shared.errors import DemonstrationError
from tests.trainer.data.demonstrations.example import reach
from tests.trainer.data.demonstrations.lerobot_example import (
    Table,
    columns,
    episodes,
    numbered,
    pose_mapping,
    write_lerobot,
)
from tests.trainer.data.demonstrations.written import POSES, unpack_lerobot
from trainer.data.demonstrations import open_source, read_demonstrations
from trainer.data.demonstrations.checks.faults import ColumnFault
from trainer.data.demonstrations.description import describe_demonstrations, describe_source
from trainer.data.demonstrations.formats.arrow_numbers import arrow_numbers
from trainer.data.demonstrations.formats.frame_cache import FrameCache
from trainer.data.demonstrations.mapping.mapping_file import parse_mapping


def of_type(make: Callable[[int], pa.DataType]) -> Callable[[NDArray[Any]], pa.Array]:
    return lambda values: pa.array(values.tolist(), make(values.shape[1]))


LISTS = {
    "list": of_type(lambda width: pa.list_(pa.float32())),
    "large_list": of_type(lambda width: pa.large_list(pa.float32())),
    "fixed_size_list": of_type(lambda width: pa.list_(pa.float32(), width)),
    "list_view": of_type(lambda width: pa.list_view(pa.float32())),
    "large_list_view": of_type(lambda width: pa.large_list_view(pa.float32())),
    "list of doubles": of_type(lambda width: pa.list_(pa.float64())),
}


@pytest.mark.parametrize("kind", LISTS)
def test_every_kind_of_list_is_read(tmp_path: Path, kind: str) -> None:
    root = write_lerobot(tmp_path / "set", episodes(3), lists=LISTS[kind])
    demonstrations = read_demonstrations(root, mapping=pose_mapping())
    for seed, episode in enumerate(demonstrations.episodes):
        assert np.abs(episode.actions - columns(reach(seed))["action"]).max() < 1e-6
    assert describe_source(open_source(root))[3:5][0].startswith("  action [10]")


@pytest.mark.parametrize(
    ("column", "complaint"),
    [
        (pa.array(["a"] * 4), "'x' is of type string; numbers and lists of numbers are read"),
        (
            pa.array([[[1.0]]] * 4),
            "'x' is of type list<item: list<item: double>>; numbers and lists of numbers are read",
        ),
        (
            pa.array([[1.0], [1.0], [1.0, 2.0], [1.0]]),
            "'x' does not have the same width in every step: 1, and at step 2 2",
        ),
        # As many numbers as four steps of two have.
        (pa.array([[1.0], [1.0] * 3, [1.0] * 2, [1.0] * 2]), "'x' does not have the same width .*: 1, and at step 1 3"),
        (pa.array([[1.0, 2.0], [1.0, None], [1.0, 2.0], [1.0, 2.0]]), "'x' lacks a value at step 1"),
        (pa.array([[1.0], None, [1.0], [1.0]]), "'x' lacks a value at step 1"),
        (pa.array([{"a": 1}] * 4), "'x' is of type struct<a: int64>; numbers and lists of numbers are read"),
    ],
)
def test_other_types_are_named(column: pa.Array, complaint: str) -> None:
    with pytest.raises(ColumnFault, match=f"^{complaint}$"):
        arrow_numbers(pa.chunked_array([column]), "x")


def test_numbers_that_lists_or_dictionaries_wrap() -> None:
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(6.0).reshape(3, 2))
    words = pa.array([1.5, 2.5, 1.5]).dictionary_encode()
    for array, wanted in (
        (tensors, [[0, 1], [2, 3], [4, 5]]),
        (words, [[1.5], [2.5], [1.5]]),
        (pa.array([True, False, True]), [[1], [0], [1]]),
        (pa.array([1, 2, 3]).cast(pa.decimal128(30, 2)), [[1], [2], [3]]),
        (pa.chunked_array([pa.array([[1, 2]]), pa.array([[3, 4], [5, 6]])]), [[1, 2], [3, 4], [5, 6]]),
    ):
        chunked = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
        assert arrow_numbers(chunked, "x").tolist() == wanted
        assert arrow_numbers(chunked.slice(1, 2), "x").tolist() == wanted[1:]


def test_an_episode_that_was_trimmed_begins_after_0(tmp_path: Path) -> None:
    trimmed = [{name: values[5 + index :] for name, values in one.items()} for index, one in enumerate(episodes(3))]
    root = write_lerobot(tmp_path / "set", trimmed)
    demonstrations = read_demonstrations(root, mapping=pose_mapping())
    assert [len(episode.actions) for episode in demonstrations.episodes] == [35, 34, 33]
    for index, episode in enumerate(demonstrations.episodes):
        assert np.abs(episode.actions - columns(reach(index))["action"][5 + index :]).max() < 1e-6
    assert "timestamps" not in "\n".join(describe_source(open_source(root)))


def swap(table: Table, a: int, b: int) -> None:
    order = np.arange(len(table["frame_index"]))
    order[[a, b]] = order[[b, a]]
    for name in table:
        table[name] = table[name][order]


def drop(table: Table, steps: list[int]) -> None:
    for name in table:
        table[name] = np.delete(table[name], steps, axis=0)


def twice(table: Table) -> None:
    table["frame_index"] = np.where(table["frame_index"] == 8, 7, table["frame_index"])


@pytest.mark.parametrize(
    ("spoil", "lengths", "complaint"),
    [
        (
            lambda t: swap(t[1], 12, 13),
            None,
            r"has unsorted rows: in episode 1, frame_index 12 follows 13, in row 53; sort",
        ),
        (
            lambda t: swap(t[1], 12, 20),
            None,
            r"has unsorted rows: in episode 1, frame_index 13 follows 20, in row 53; sort",
        ),
        (
            lambda t: drop(t[2], [10, 11]),
            None,
            r"lacks steps: in episode 2, frame_index 12 follows 9, in row 90; split",
        ),
        (lambda t: twice(t[0]), None, r"has a step twice: in episode 0, frame_index 7 follows 7, in row 8; remove"),
        (lambda t: None, [40, 42, 40], r"has 40 steps of episode 1, meta/ says 42: is it whole"),
        (lambda t: drop(t[1], [39]), [40, 40, 40], r"has 39 steps of episode 1, meta/ says 40: is it whole"),
        (lambda t: t.reverse(), None, r"has unsorted rows: row 40 is of episode 1, the one before of episode 2; sort"),
    ],
)
def test_number_numbering_and_order_of_steps_are_told_apart(
    tmp_path: Path, spoil: Callable[[list[Table]], None], lengths: list[int] | None, complaint: str
) -> None:
    tables = episodes(3)
    spoil(tables)
    root = write_lerobot(tmp_path / "set", tables, lengths=lengths)
    with pytest.raises(DemonstrationError, match=r"data/chunk-000/file-000\.parquet: " + complaint):
        read_demonstrations(root, mapping=pose_mapping())


def test_an_episode_without_a_video_is_named_only_where_its_camera_is_used(tmp_path: Path) -> None:
    camera = "observation.images.front"
    root = Path(shutil.copytree(unpack_lerobot("v3.0", tmp_path) / "poses", tmp_path / "set"))
    path = root / "meta/episodes/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    for key in ("chunk_index", "file_index", "from_timestamp"):
        name = f"videos/{camera}/{key}"
        values = table.column(name).to_pylist()
        values[1] = None if key == "file_index" else float("nan")
        kind = pa.float64() if key != "file_index" else pa.int64()
        table = table.set_column(table.column_names.index(name), name, pa.array(values, kind))
    pq.write_table(table, path)
    assert f"note: camera {camera}: 1 of 3 episodes have no video of it: 1" in describe_source(open_source(root))
    cache = FrameCache(tmp_path / "frames")
    seen = parse_mapping(POSES | {"observation": {"cameras": [camera]}}, "mapping")
    assert len(read_demonstrations(root, mapping=parse_mapping(POSES, "mapping")).episodes) == 3
    assert len(read_demonstrations(root, 1, mapping=seen, frames=cache).episodes) == 1
    complaint = rf"meta/episodes/chunk-000/file-000\.parquet: does not say where the video '{camera}' of episode 1 is"
    with pytest.raises(DemonstrationError, match=complaint):
        read_demonstrations(root, mapping=seen, frames=cache)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("data/file_index", None, "episode 1: data/file_index is missing"),
        ("length", None, "episode 1: length is missing"),
        ("length", 20.5, r"episode 1: length is 20\.5"),
        ("episode_index", None, "row 1: episode_index is missing"),
    ],
)
def test_nulls_in_meta_name_the_file_and_the_episode(
    tmp_path: Path, key: str, value: float | None, complaint: str
) -> None:
    kind = pa.float64() if isinstance(value, float) else pa.int64()
    said = {"length": 40, "data/file_index": 0}.get(key)
    values = [0, value, 2] if said is None else [said, value, said]
    root = write_lerobot(tmp_path / "set", episodes(3), meta={key: pa.array(values, kind)})
    with pytest.raises(DemonstrationError, match=r"meta/episodes/chunk-000/file-000\.parquet: " + complaint):
        open_source(root)


def older_meta(root: Path) -> None:
    lines = [{"episode_index": index, "length": 40, "tasks": ["pick"]} for index in range(3)]
    shutil.rmtree(root / "meta" / "episodes")
    (root / "meta" / "episodes.jsonl").write_text("\n".join(map(json.dumps, lines)))


def older_data(root: Path) -> None:
    (root / "data/chunk-000/file-000.parquet").rename(root / "data/chunk-000/episode_000000.parquet")


@pytest.mark.parametrize("spoil", [older_meta, older_data])
def test_files_of_the_other_version_are_named(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    root = write_lerobot(tmp_path / "set", episodes(3))
    spoil(root)
    with pytest.raises(
        DemonstrationError, match=r"info\.json: says that .* version v3\.0, but its files are of v2\.1: there"
    ):
        open_source(root)
    newer = write_lerobot(tmp_path / "newer", episodes(3), codebase_version="v2.1")
    with pytest.raises(DemonstrationError, match=r"version v2\.1, but its files are of v3\.0: there is meta/episodes/"):
        open_source(newer)


def test_a_line_of_episodes_that_is_none_is_named(tmp_path: Path) -> None:
    root = Path(shutil.copytree(unpack_lerobot("v2.1", tmp_path) / "poses", tmp_path / "set"))
    path = root / "meta" / "episodes.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], '{"episode_index": null}', lines[2]]))
    with pytest.raises(DemonstrationError, match=r"episodes\.jsonl: line 2 is no episode"):
        open_source(root)


def test_one_step_has_no_speed_and_none_is_no_episode(tmp_path: Path) -> None:
    tables = episodes(3)
    tables[0] = {name: values[:1] for name, values in tables[0].items()}
    root = write_lerobot(tmp_path / "set", tables)
    demonstrations = read_demonstrations(root, 1, mapping=pose_mapping())
    lines = describe_demonstrations(demonstrations, None)
    assert lines[0].startswith("1 demonstrations of 'pick' by arm6 at 20 Hz, 0 s")
    assert not any("speed" in line for line in lines)
    assert any(
        "speed" in line for line in describe_demonstrations(read_demonstrations(root, mapping=pose_mapping()), None)
    )
    tables[1] = {name: values[:0] for name, values in numbered(1, columns(reach(1))).items()}
    empty = write_lerobot(tmp_path / "empty", tables)
    for look in (
        lambda: describe_source(open_source(empty)),
        lambda: read_demonstrations(empty, mapping=pose_mapping()),
    ):
        with pytest.raises(DemonstrationError, match=r"file-000\.parquet: episode 1 has no steps"):
            look()
