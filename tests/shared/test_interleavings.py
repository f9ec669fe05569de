"""Producers of one shard whose files have other bytes, those who put commits together, and readers, in every order.

After every step, those who read see each row once, or not yet, and nothing that is damaged; so they do wherever a
program is killed, since the others' steps may all come before its next one.
"""

import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart_client.data import commit_folder, records
from shared.dataset import Dataset
from tests.shared.example import HEADER, example_table
from tests.shared.interleaving import Program, walk

Act = Callable[[Dataset], Any]

_SOUND: set[tuple[int, str]] = set()
"""Shards, and hashes of files that have been found to hold their rows."""


@pytest.fixture(autouse=True)
def other_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file that is packed has other bytes than the one before, as by two releases of pyarrow."""
    levels = itertools.cycle(("none", "snappy", "gzip", "zstd"))

    def pack(table: pa.Table) -> pa.Buffer:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression=next(levels))
        return sink.getvalue()

    monkeypatch.setattr(records, "to_parquet", pack)
    # What lasts through a power failure is test_power's part.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two commits: the first two shards are a block, and the third is one."""
    monkeypatch.setattr(commit_folder, "BLOCK", 2)


@pytest.fixture(params=["directory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives an empty place each time."""
    numbers = itertools.count()
    if request.param == "directory":
        return lambda: str(tmp_path / str(next(numbers)))
    base, mark, query = str(request.getfixturevalue("bucket_uri")).partition("?")
    return lambda: f"{base}/{next(numbers)}{mark}{query}"


class _Readers:
    """One that follows from the beginning, and one that comes new each time."""

    def __init__(self, where: str) -> None:
        self._where, self._following = where, Dataset(where)
        self._seen: set[int] = set()

    def check(self) -> None:
        for dataset in (self._following, Dataset(self._where)):
            found = _read(dataset)
            assert self._seen <= found
        self._seen = found


def _read(dataset: Dataset) -> set[int]:
    """Reads all there is; the indices of the shards."""
    commits = list(dataset.state().commits)
    indices = [commit.index for commit in commits]
    assert indices == sorted(set(indices))
    for commit in commits:
        # Whose bytes are those committed; these are decoded where they are seen first.
        dataset.checked_bytes(commit)
        if (commit.index, commit.file_sha256) not in _SOUND:
            assert dataset.read_shard(commit).equals(example_table(commit.index, HEADER.rows_in(commit.index)))
            _SOUND.add((commit.index, commit.file_sha256))
    return set(indices)


def _publish(index: int) -> Act:
    return lambda dataset: dataset.publish(index, example_table(index, HEADER.rows_in(index)), 8, {"ik": 1})


def _publish_late(index: int) -> Act:
    """Of one that has looked whether there is a commit long ago."""
    table = example_table(index, HEADER.rows_in(index))
    counts = {"attempts": 8, "rejections": {"ik": 1}, "rejections_by_family": {}}
    return lambda dataset: dataset._write(index, table, records.content_hash(table), counts)


def _compact(dataset: Dataset) -> None:
    dataset.compact()


def _walk(place: Callable[[], str], before: Sequence[int], *acts: Act) -> tuple[int, set[str]]:
    """Walks every order of the acts in datasets that have the shards `before`. Returns how many, and their ends."""
    where = ""

    def start() -> tuple[Sequence[Program], Callable[[], None]]:
        nonlocal where
        where = place()
        dataset = Dataset.create(where, HEADER)
        for index in before:
            _publish(index)(dataset)
        return [Program(where, act) for act in acts], _Readers(where).check

    ends, count = set(), 0
    for _ in walk(start):
        count += 1
        ends.add(",".join(sorted(Dataset(where).storage.names("commits"))))
    return count, ends


def test_two_producers_of_a_shard(place: Callable[[], str]) -> None:
    count, ends = _walk(place, [], _publish(0), _publish(0))
    assert ends == {"00000000.json"}
    assert count > 5


def test_a_producer_that_comes_late_while_commits_are_put_together(place: Callable[[], str]) -> None:
    count, ends = _walk(place, [0, 1], _publish_late(0), _compact)
    # What came after its block stays until commits are put together the next time, and does not count.
    assert ends <= {"00000000-00000001.parquet", "00000000-00000001.parquet,00000000.json"}
    assert count > 5


def test_two_who_put_commits_together(place: Callable[[], str]) -> None:
    count, ends = _walk(place, [0, 1], _compact, _compact)
    assert ends == {"00000000-00000001.parquet"}
    assert count > 3


def test_a_reader_while_commits_are_put_together(place: Callable[[], str]) -> None:
    seen: list[set[int]] = []
    _walk(place, [0, 1, 2], _compact, lambda dataset: seen.append(_read(dataset)))
    assert seen
    assert all(one == {0, 1, 2} for one in seen)


@pytest.mark.parametrize("first", range(8))
def test_wherever_two_producers_are_killed_a_third_goes_on(place: Callable[[], str], first: int) -> None:
    for second in range(8):
        where = place()
        Dataset.create(where, HEADER)
        producers = [Program(where, _publish(0)), Program(where, _publish(0))]
        for producer, steps in zip(producers, (first, second), strict=True):
            for _ in range(steps):
                if producer.pending is not None:
                    producer.step()
        for producer in producers:
            producer.kill()
        dataset, readers = Dataset(where), _Readers(where)
        readers.check()
        for index in range(HEADER.shards):
            _publish(index)(dataset)
        dataset.set_state("sealed")
        readers.check()
        assert _read(Dataset(where)) == {0, 1, 2}
