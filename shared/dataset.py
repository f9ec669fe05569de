"""The dataset on disk: publish a shard, commit it, read it, follow a dataset that is still growing.

    dataset.json                     immutable, written first (DatasetHeader)
    shards/shard-00000012.parquet    written as .tmp/<uuid>.part, fsynced, renamed without clobbering
    commits/00000012.json            the only thing that makes shard 12 visible (Commit)
    manifest.json                    state, and a snapshot of the commits (DatasetState)

Tasks run at least once and take effect exactly once: the first commit of an index wins, and a different content for it
is an error. Nothing is ever visible half-written, so a killed producer resumes from the commits.
"""

import hashlib
import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared import records
from shared.errors import CommitConflictError, CorruptShardError, DatasetFormatError, GeneratorVersionError
from shared.manifest import Commit, DatasetHeader, DatasetState, State
from shared.statistics import column_statistics

_COMMIT_NAME = re.compile(r"\d{8}\.json")


class Dataset:
    """A dataset directory: what a producer writes and a reader follows."""

    def __init__(self, root: Path | str) -> None:
        """Opens a dataset directory. Raises DatasetFormatError if it is not one."""
        self.root = Path(root)
        path = self.root / "dataset.json"
        if not path.is_file():
            raise DatasetFormatError("no dataset.json here; give the directory that holds it", self.root)
        self.header = DatasetHeader.from_json(_read_json(path), path)
        self._commits: dict[int, Commit] = {}
        self._verified: set[int] = set()

    @classmethod
    def create(cls, root: Path | str, header: DatasetHeader) -> "Dataset":
        """Begins a dataset, or opens it where the same one was begun before.

        Raises:
            GeneratorVersionError: it was begun by another generator_version.
            CommitConflictError: another dataset is in this directory.
        """
        root = Path(root)
        for folder in ("shards", "commits", ".tmp"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        if not (root / "dataset.json").exists():
            _publish(root, json.dumps(header.to_json(), indent=1).encode(), root / "dataset.json")
        dataset = cls(root)
        if dataset.header.generator_version != header.generator_version:
            raise GeneratorVersionError(
                f"was begun by generator_version {dataset.header.generator_version}, this release is "
                f"{header.generator_version}; finish it with the release that began it, or choose another directory",
                root,
            )
        if dataset.header.dataset_id != header.dataset_id:
            raise CommitConflictError(
                f"holds dataset {dataset.header.dataset_id[:12]}, not {header.dataset_id[:12]}; "
                "choose another directory",
                root,
            )
        if not (root / "manifest.json").exists():
            dataset.set_state("growing")
        return dataset

    def shard_path(self, index: int) -> Path:
        """Where shard `index` lies."""
        return self.root / "shards" / f"shard-{index:08d}.parquet"

    def commit_path(self, index: int) -> Path:
        """Where the commit of shard `index` lies."""
        return self.root / "commits" / f"{index:08d}.json"

    def commit(self, index: int) -> Commit | None:
        """The commit of shard `index`, or None while there is none."""
        if index not in self._commits:
            path = self.commit_path(index)
            if not path.exists():
                return None
            self._commits[index] = Commit.from_json(_read_json(path), path)
        return self._commits[index]

    def state(self) -> DatasetState:
        """How far the dataset is. A sealed one is read from its manifest, a growing one from its commits.

        Raises DatasetFormatError, naming what is damaged.
        """
        path = self.root / "manifest.json"
        recorded = DatasetState.from_json(_read_json(path), path) if path.exists() else DatasetState("growing")
        return recorded if recorded.state == "sealed" else replace(recorded, commits=self.commits())

    def commits(self) -> tuple[Commit, ...]:
        """Every commit on disk now, in index order. Each file is read once and then remembered."""
        folder = self.root / "commits"
        if not folder.is_dir():
            raise DatasetFormatError("this folder is missing; restore it, or make the dataset again", folder)
        indices = sorted(int(name[:8]) for name in os.listdir(folder) if _COMMIT_NAME.fullmatch(name))
        found = (self.commit(index) for index in indices)
        return tuple(commit for commit in found if commit is not None)

    def set_state(self, state: State, reason: str = "") -> None:
        """Writes manifest.json: the state, and every commit so far.

        Raises DatasetFormatError when sealing a dataset that lacks a shard.
        """
        commits = self.commits()
        if state == "sealed" and len(commits) != self.header.shards:
            raise DatasetFormatError(f"can't be sealed with {len(commits)} of {self.header.shards} shards", self.root)
        body = {"state": state, "reason": reason, "commits": [asdict(commit) for commit in commits]}
        _publish(self.root, json.dumps(body).encode(), self.root / "manifest.json", clobber=True)

    def publish(self, index: int, table: pa.Table, attempts: int, rejections: Mapping[str, int]) -> Commit:
        """Writes shard `index` and commits it; safe to run twice, or in two processes at once.

        Raises:
            CommitConflictError: the index is committed with other rows.
        """
        content = records.content_hash(table)
        commit = self.commit(index) or self._write(index, table, content, attempts, rejections)
        if commit.content_sha256 != content:
            raise CommitConflictError(
                f"shard {index} is committed with content {commit.content_sha256[:12]}, this run made {content[:12]}; "
                "the same request must give the same rows: compare library versions in dataset.json",
                self.commit_path(index),
            )
        return commit

    def read_shard(self, commit: Commit, columns: list[str] | None = None) -> pa.Table:
        """The rows of a committed shard.

        Raises CorruptShardError, naming the file, if it is missing or its bytes are not those that were committed.
        """
        path = self.shard_path(commit.index)
        if commit.index not in self._verified:
            verify_shard(path, commit)
            self._verified.add(commit.index)
        return pq.read_table(path, columns=columns, memory_map=True, use_threads=False)

    def _write(self, index: int, table: pa.Table, content: str, attempts: int, rejections: Mapping[str, int]) -> Commit:
        """Writes shard `index` and commits it. Returns the commit that won, another producer's if that came first."""
        part = self.root / ".tmp" / f"{uuid.uuid4().hex}.part"
        try:
            records.write_parquet(table, part)
            file_sha256, size = file_hash(part), part.stat().st_size
            _fsync(part)
            self._name(part, index, file_sha256)
        finally:
            part.unlink(missing_ok=True)
        _fsync(self.root / "shards")
        samples = len(records.list_column(table, "gripper")[0])
        statistics = column_statistics(table, self.header.robot.dof)
        ours = Commit(
            index, table.num_rows, samples, size, file_sha256, content, attempts, dict(rejections), statistics
        )
        _publish(self.root, json.dumps(asdict(ours)).encode(), self.commit_path(index))
        winner = self.commit(index)
        assert winner is not None
        return winner

    def _name(self, part: Path, index: int, file_sha256: str) -> None:
        """Gives a written shard its name. A committed file of that name stays as it is."""
        target = self.shard_path(index)
        try:
            os.link(part, target)
        except FileExistsError:
            # Without a commit it is a killed producer's: one of the same bytes will do, any other is replaced.
            if file_hash(target) != file_sha256 and self.commit(index) is None:
                os.replace(part, target)


def verify_shard(path: Path, commit: Commit) -> None:
    """Raises CorruptShardError unless `path` holds the committed bytes."""
    if not path.is_file():
        raise CorruptShardError("is committed but missing; restore it, or delete its commit to make it again", path)
    size = path.stat().st_size
    if size != commit.bytes:
        raise CorruptShardError(
            f"has {size} bytes where {commit.bytes} were committed; delete it and its commit to make it again", path
        )
    if file_hash(path) != commit.file_sha256:
        raise CorruptShardError(
            "its bytes differ from those committed; delete it and its commit to make it again", path
        )


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise DatasetFormatError(f"is not JSON: {error}; restore it, or make the dataset again", path) from error


def _publish(root: Path, content: bytes, target: Path, clobber: bool = False) -> None:
    """Makes `target` appear whole or not at all; without `clobber` an existing file stays as it is."""
    part = root / ".tmp" / f"{uuid.uuid4().hex}.part"
    part.write_bytes(content)
    _fsync(part)
    try:
        if clobber:
            os.replace(part, target)
        else:
            os.link(part, target)
    except FileExistsError:
        pass
    finally:
        part.unlink(missing_ok=True)
    _fsync(target.parent)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
