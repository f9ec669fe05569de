"""Power fails at every moment of a small dataset's life. Without any of the fsyncs, some moment leaves damage."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from headstart_client.data import commit_folder, storage
from shared.dataset import Dataset
from shared.errors import CorruptShardError, DatasetError
from tests.shared.example import HEADER, example_table
from tests.shared.power import Disk, recorded

FSYNCS = 24
"""In the life of the dataset below."""
NOT_NEEDED = {3, 5}
"""The names of dataset.json and of the first manifest.json: one fsync of their folder is enough for both."""


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two commits."""
    monkeypatch.setattr(commit_folder, "BLOCK", 2)


def _live(disk: Disk) -> None:
    """Begins a dataset, publishes its shards and seals it; what has returned is told to last."""
    dataset = Dataset.create(disk.root / "data" / "set", HEADER)
    disk.returned += 1
    for index in range(HEADER.shards):
        dataset.publish(index, example_table(index, HEADER.rows_in(index)), 8, {})
        disk.returned += 1
        disk.look()
    dataset.set_state("sealed")
    disk.returned += 1
    disk.look()


def _check(folder: Path, returned: int) -> None:
    """After a power failure: what was told to last is there, every commit can be read, and it can be gone on with."""
    where = folder / "data" / "set"
    if returned or Dataset.is_at(where):
        dataset = Dataset(where)
        state = dataset.state()
        assert returned < 5 or state.state == "sealed"
        assert len(state.commits) >= min(returned - 1, HEADER.shards)
        for commit in state.commits:
            assert dataset.read_shard(commit).num_rows == HEADER.rows_in(commit.index)
    dataset = Dataset.create(where, HEADER)
    for index in range(HEADER.shards):
        dataset.publish(index, example_table(index, HEADER.rows_in(index)), 8, {})
    dataset.set_state("sealed")
    assert [commit.index for commit in Dataset(where).commits()] == [0, 1, 2]


def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: Callable[[Disk], None], skipped: int) -> Disk:
    disk = Disk(tmp_path / "disk", skipped)
    disk.root.mkdir()
    with recorded(disk, monkeypatch):
        live(disk)
    # What is checked from here on needs none.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    return disk


def test_whenever_power_fails_what_was_committed_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = _run(tmp_path, monkeypatch, _live, -1)
    cases = 0
    for folder, returned in disk.after_power_failure(tmp_path / "after"):
        _check(folder, returned)
        cases += 1
    assert cases > 40
    assert len(disk.fsyncs) == FSYNCS


@pytest.mark.parametrize("skipped", sorted(set(range(FSYNCS)) - NOT_NEEDED))
def test_every_fsync_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skipped: int) -> None:
    disk = _run(tmp_path, monkeypatch, _live, skipped)
    with pytest.raises((AssertionError, OSError, DatasetError)):  # noqa: PT012
        for folder, returned in disk.after_power_failure(tmp_path / "after"):
            _check(folder, returned)


def _live_with_a_kill(disk: Disk) -> None:
    """The first producer is killed when its shard has its name, before that lasts; another goes on."""
    dataset = Dataset.create(disk.root / "data" / "set", HEADER)
    disk.returned += 1
    fsync, name = os.fsync, storage._fsync

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    storage._fsync = killed
    try:
        dataset.publish(0, example_table(0, 8), 8, {})
    except KeyboardInterrupt:
        storage._fsync = name
    assert os.fsync is fsync
    dataset.publish(0, example_table(0, 8), 8, {})
    disk.returned += 1
    disk.look()


@pytest.mark.parametrize(("skipped", "fails"), [(-1, False), (8, True)])
def test_a_file_that_is_there_lasts_before_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skipped: int, fails: bool
) -> None:
    disk = _run(tmp_path, monkeypatch, _live_with_a_kill, skipped)
    # The killed one's file, the other's, and the name of the first.
    assert [Path(name).suffix for name in disk.fsyncs[6:8]] == [".part", ".part"]
    assert disk.fsyncs[8] == "data/set/shards"
    with pytest.raises(CorruptShardError) if fails else nullcontext():
        for folder, returned in disk.after_power_failure(tmp_path / "after"):
            _check(folder, returned)
