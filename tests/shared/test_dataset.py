import hashlib
import json
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart_client.data import records
from shared.dataset import Dataset
from shared.errors import (
    CommitConflictError,
    CorruptShardError,
    DatasetCancelledError,
    DatasetError,
    DatasetFailedError,
    DatasetFormatError,
    DatasetStalledError,
    GeneratorVersionError,
)
from shared.follow import wait_for_shards
from shared.manifest import State
from shared.statistics import column_statistics, merge_statistics
from shared.storage import LocalStorage
from tests.shared.example import HEADER, example_table


def test_publish_then_read_gives_the_same_rows(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path, HEADER)
    table = example_table(0, 8)
    by_family, redraws = {"hold": {"ik": 1}}, {"hold": {"keep_out": 3}, "via_points": {"ik": 2}}
    commit = dataset.publish(0, table, 9, {"ik": 1}, by_family, redraws)
    assert dataset.commits()[0].rejections_by_family == by_family
    assert dataset.commits()[0].redraws_by_family == redraws
    assert (commit.rows, commit.attempts, commit.rejections) == (8, 9, {"ik": 1})
    again = Dataset(tmp_path)
    assert again.header.to_json() == dataset.header.to_json()
    read = again.read_shard(again.state().commits[0])
    assert read.equals(table)
    assert records.content_hash(read) == commit.content_sha256
    assert list((tmp_path / ".tmp").iterdir()) == []


def test_only_a_commit_makes_a_shard_visible(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path, HEADER)
    table = example_table(0, 8)
    name = f"shards/shard-00000000-{records.content_hash(table)[:16]}.parquet"
    (tmp_path / name).write_bytes(records.to_parquet(table))
    assert dataset.state().watermark == 0
    dataset.publish(0, example_table(0, 8), 8, {})
    assert dataset.state().watermark == 1


def test_what_is_left_of_a_deleted_dataset_says_nothing_of_the_next(tmp_path: Path) -> None:
    Dataset.create(tmp_path, HEADER).set_state("cancelled")
    assert Dataset.create(tmp_path, HEADER).state().state == "cancelled"
    (tmp_path / "dataset.json").unlink()
    assert Dataset.create(tmp_path, HEADER).state().state == "growing"


def test_watermark_stops_at_the_first_gap(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path, HEADER)
    for index in (0, 2):
        dataset.publish(index, example_table(index, HEADER.rows_in(index)), 8, {})
    assert dataset.state().watermark == 1
    with pytest.raises(DatasetFormatError, match="2 of 3 shards"):
        dataset.set_state("sealed")
    dataset.publish(1, example_table(1, 8), 8, {})
    dataset.set_state("sealed")
    assert Dataset(tmp_path).state() == replace(dataset.state(), state="sealed")


def test_the_same_shard_twice_is_one_commit_and_another_is_refused(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path, HEADER)
    first = dataset.publish(0, example_table(0, 8), 8, {})
    assert Dataset(tmp_path).publish(0, example_table(0, 8), 8, {}) == first
    with pytest.raises(CommitConflictError, match="shard 0 is committed"):
        Dataset(tmp_path).publish(0, example_table(1, 8), 8, {})


def _publish(root: str) -> str:
    return Dataset(root).publish(0, example_table(0, 8), 8, {}).content_sha256


def test_two_processes_may_publish_at_once(tmp_path: Path) -> None:
    Dataset.create(tmp_path, HEADER)
    with get_context("spawn").Pool(2) as pool:
        hashes = pool.map(_publish, [str(tmp_path)] * 6)
    assert len(set(hashes)) == 1
    dataset = Dataset(tmp_path)
    dataset.read_shard(dataset.state().commits[0])
    assert list((tmp_path / ".tmp").iterdir()) == []


@pytest.mark.parametrize("rows_of", [0, 1])
def test_a_shard_committed_meanwhile_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_of: int
) -> None:
    dataset = Dataset.create(tmp_path, HEADER)
    pack = records.to_parquet

    def other_pack(rows: pa.Table) -> pa.Buffer:
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="none")
        return sink.getvalue()

    def pack_late(table: pa.Table) -> pa.Buffer:
        monkeypatch.setattr(records, "to_parquet", other_pack)
        Dataset(tmp_path).publish(0, example_table(0, 8), 9, {})
        return pack(table)

    monkeypatch.setattr(records, "to_parquet", pack_late)
    if rows_of == 0:
        assert dataset.publish(0, example_table(0, 8), 8, {}).attempts == 9
    else:
        with pytest.raises(CommitConflictError, match="shard 0 is committed"):
            dataset.publish(0, example_table(1, 8), 8, {})
    again = Dataset(tmp_path)
    assert again.read_shard(again.commits()[0]).equals(example_table(0, 8))
    assert list((tmp_path / ".tmp").iterdir()) == []


def test_an_uncommitted_leftover_of_the_same_rows_is_used_as_it_lies_there(tmp_path: Path) -> None:
    dataset, table = Dataset.create(tmp_path, HEADER), example_table(0, 8)
    path = tmp_path / f"shards/shard-00000000-{records.content_hash(table)[:16]}.parquet"
    pq.write_table(table, path, compression="none")
    packed = path.read_bytes()
    commit = dataset.publish(0, table, 8, {})
    assert dataset.shard_path(0) == path
    assert path.read_bytes() == packed != records.to_parquet(table).to_pybytes()
    assert (commit.bytes, commit.file_sha256) == (len(packed), hashlib.sha256(packed).hexdigest())
    assert dataset.read_shard(commit).equals(table)


@pytest.mark.parametrize("content", [b"PAR1", records.to_parquet(example_table(1, 8)).to_pybytes()])
def test_a_leftover_that_is_not_what_its_name_says_is_never_committed(tmp_path: Path, content: bytes) -> None:
    dataset, table = Dataset.create(tmp_path, HEADER), example_table(0, 8)
    path = tmp_path / f"shards/shard-00000000-{records.content_hash(table)[:16]}.parquet"
    path.write_bytes(content)
    with pytest.raises(CorruptShardError, match=r"is not what its name says: .*; delete it, then go on"):
        dataset.publish(0, table, 8, {})
    assert dataset.state().commits == ()
    assert path.read_bytes() == content
    path.unlink()
    assert dataset.read_shard(dataset.publish(0, table, 8, {})).equals(table)


@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped"])
def test_a_damaged_shard_is_named(tmp_path: Path, damage: str) -> None:
    dataset = Dataset.create(tmp_path, HEADER)
    commit = dataset.publish(0, example_table(0, 8), 8, {})
    path = dataset.shard_path(0)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-9] if damage == "truncated" else content)
    with pytest.raises(CorruptShardError, match=r"shard-00000000-[0-9a-f]{16}\.parquet"):
        Dataset(tmp_path).read_shard(commit)


def test_other_datasets_and_versions_are_refused(tmp_path: Path) -> None:
    Dataset.create(tmp_path, HEADER)
    with pytest.raises(GeneratorVersionError, match="generator_version 1, this release is 2"):
        Dataset.create(tmp_path, replace(HEADER, generator_version=2))
    with pytest.raises(CommitConflictError, match="choose another directory"):
        Dataset.create(tmp_path, replace(HEADER, dataset_id="b" * 64))
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": "3.0"}))
    with pytest.raises(DatasetFormatError, match=r"schema version 3\.0"):
        Dataset(tmp_path)
    with pytest.raises(DatasetFormatError, match=r"no dataset\.json"):
        Dataset(tmp_path / "shards")


def test_a_follower_ends_or_says_why_it_can_not(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path, HEADER)
    arrivals = iter([0, 1])
    waits: list[int] = []

    def sleep(_: float) -> None:
        index = next(arrivals)
        dataset.publish(index, example_table(index, 8), 8, {})

    state = wait_for_shards(Dataset(tmp_path), 2, sleep=sleep, on_wait=lambda s: waits.append(s.watermark))
    assert (state.watermark, waits) == (2, [0, 1])
    with pytest.raises(DatasetStalledError, match="2 of 3"):
        wait_for_shards(Dataset(tmp_path), 3, max_wait=0.0, poll=0.001)
    endings: list[tuple[State, type[DatasetError]]] = [
        ("failed", DatasetFailedError),
        ("cancelled", DatasetCancelledError),
    ]
    for name, error in endings:
        dataset.set_state(name, "disk full")
        assert wait_for_shards(Dataset(tmp_path), 2).watermark == 2
        with pytest.raises(error):
            wait_for_shards(Dataset(tmp_path), 3)


def test_merged_statistics_are_those_of_the_whole() -> None:
    parts = [column_statistics(example_table(i, 8), 2)["joint_position"] for i in range(2)]
    both = np.concatenate(
        [records.list_column(example_table(i, 8), "joint_position")[0].reshape(-1, 2) for i in range(2)]
    ).astype(np.float64)
    merged = merge_statistics(*parts)
    np.testing.assert_allclose(merged["mean"], both.mean(0), rtol=1e-12)
    np.testing.assert_allclose(np.array(merged["M2"]) / len(both), both.var(0), rtol=1e-12)
    assert (merged["count"], merged["min"], merged["max"]) == (len(both), both.min(0).tolist(), both.max(0).tolist())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dataset.json", "[]"),
        ("dataset.json", "not json"),
        ("manifest.json", "[]"),
        ("manifest.json", '{"reason": "", "totals": null}'),
        ("manifest.json", '{"state": "sealed", "reason": "", "totals": null}'),
        ("manifest.json", '{"state": "sealed", "reason": "", "totals": {"rows": 3}}'),
        ("manifest.json", '{"state": "sealed", "reason": ""}'),
        ("manifest.json", '{"state": "sealed", "reason": "", "commits": 3}'),
        ("manifest.json", '{"state": "sealed", "reason": "", "commits": [{}]}'),
        ("manifest.json", '{"state": "half", "reason": "", "commits": []}'),
        ("commits/00000000.json", "3"),
        ("commits/00000000.json", "{}"),
    ],
)
def test_a_damaged_description_is_named(tmp_path: Path, name: str, text: str) -> None:
    Dataset.create(tmp_path, HEADER).publish(0, example_table(0, 8), 8, {})
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetFormatError, match=rf"{name}: .*make the dataset again"):
        list(Dataset(tmp_path).state().commits)


@pytest.mark.parametrize(("name", "value"), [("count", "20"), ("shard_rows", 0), ("request", []), ("robot", {})])
def test_a_wrong_header_entry_is_named(tmp_path: Path, name: str, value: object) -> None:
    Dataset.create(tmp_path, HEADER)
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    with pytest.raises(DatasetFormatError, match=r"dataset\.json: is not a dataset description"):
        Dataset(tmp_path)


def test_a_wrong_commit_entry_is_named(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path, HEADER)
    dataset.publish(0, example_table(0, 8), 8, {})
    path = dataset.root / "commits/00000000.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "rows": "8"}))
    with pytest.raises(DatasetFormatError, match=r"00000000\.json: is not a commit record: .*rows is '8'"):
        list(Dataset(tmp_path).state().commits)


def test_missing_commits_are_named(tmp_path: Path) -> None:
    Dataset.create(tmp_path, HEADER)
    (tmp_path / "commits").rmdir()
    with pytest.raises(DatasetFormatError, match="commits: this folder is missing; restore it"):
        Dataset(tmp_path).state()


def test_a_listing_made_while_files_gave_way_to_their_block_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Dataset.create(tmp_path, HEADER)
    for index in range(HEADER.shards):
        dataset.publish(index, example_table(index, HEADER.rows_in(index)), 8, {})
    follower = Dataset(tmp_path)
    assert len(follower.state().commits) == 3
    dataset.compact()
    names, listings = LocalStorage.names, [["00000002.json"]]
    monkeypatch.setattr(LocalStorage, "names", lambda *of: listings.pop() if listings else names(*of))
    assert [commit.index for commit in follower.state().commits] == [0, 1, 2]
    assert listings == []


@pytest.mark.parametrize("what", ["commit", "statistics"])
def test_a_commit_that_gives_way_to_its_block_while_it_is_looked_for_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    dataset = Dataset.create(tmp_path, HEADER)
    for index in range(HEADER.shards):
        dataset.publish(index, example_table(index, HEADER.rows_in(index)), 8, {})
    expected = getattr(dataset, what)(1)
    read = LocalStorage.read

    def compact_before(storage: LocalStorage, name: str) -> pa.Buffer | None:
        if name == "commits/00000001.json":
            dataset.compact()
        return read(storage, name)

    follower = Dataset(tmp_path)
    monkeypatch.setattr(LocalStorage, "read", compact_before)
    assert getattr(follower, what)(1) == expected
    assert [path.name for path in (tmp_path / "commits").iterdir()] == ["00000000-00000002.parquet"]
