"""The dataset, in a directory or an object store: publish a shard, commit it, read it, follow it while it grows.

    dataset.json                     immutable, written first (DatasetHeader)
    shards/shard-00000012.parquet    created whole, without clobbering
    commits/00000012.json            the only thing that makes shard 12 visible (Commit)
    manifest.json                    state, and a snapshot of the commits (DatasetState)

Tasks run at least once and take effect exactly once: the first commit of an index wins, and a different content for it
is an error. Nothing is ever visible half-written, so a killed producer resumes from the commits. How a file is made to
appear is shared.storage's part.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared import records
from shared.errors import (
    CommitConflictError,
    CorruptShardError,
    DatasetError,
    DatasetFormatError,
    GeneratorVersionError,
)
from shared.manifest import Commit, DatasetHeader, DatasetState, State
from shared.statistics import column_statistics
from shared.storage import LocalStorage, Location, Storage, open_storage

_COMMIT_NAME = re.compile(r"\d{8}\.json")


class Dataset:
    """A dataset directory, or one in an object store: what a producer writes and a reader follows."""

    def __init__(self, where: Location) -> None:
        """Opens a dataset by its path or URI. Raises DatasetFormatError if it is not one."""
        self.storage = open_storage(where)
        value = _read_json(self.storage, "dataset.json")
        if value is None:
            raise DatasetFormatError("no dataset.json here; give the directory that holds it", self.where)
        self.header = DatasetHeader.from_json(value, f"{self.where}/dataset.json")
        self._commits: dict[int, Commit] = {}
        self._verified: set[int] = set()

    @classmethod
    def create(cls, where: Location, header: DatasetHeader) -> "Dataset":
        """Begins a dataset, or opens it where the same one was begun before.

        Raises:
            GeneratorVersionError: it was begun by another generator_version.
            CommitConflictError: another dataset is in this directory.
        """
        storage = open_storage(where)
        storage.prepare(("shards", "commits"))
        begun = storage.read("dataset.json") is None and storage.create(
            "dataset.json", pa.py_buffer(json.dumps(header.to_json(), indent=1).encode())
        )
        dataset = cls(where)
        if dataset.header.generator_version != header.generator_version:
            raise GeneratorVersionError(
                f"was begun by generator_version {dataset.header.generator_version}, this release is "
                f"{header.generator_version}; finish it with the release that began it, or choose another directory",
                dataset.where,
            )
        if dataset.header.dataset_id != header.dataset_id:
            raise CommitConflictError(
                f"holds dataset {dataset.header.dataset_id[:12]}, not {header.dataset_id[:12]}; "
                "choose another directory",
                dataset.where,
            )
        # A manifest that is there already is left of a deleted dataset.
        if begun or storage.read("manifest.json") is None:
            dataset.set_state("growing")
        return dataset

    @staticmethod
    def is_at(where: Location) -> bool:
        """Whether a dataset was begun there."""
        return open_storage(where).read("dataset.json") is not None

    @property
    def where(self) -> str:
        """Its path or URI."""
        return self.storage.where

    @property
    def root(self) -> Path:
        """Its directory. Raises DatasetError for a dataset in an object store, which has none."""
        return self._path("")

    def shard_path(self, index: int) -> Path:
        """Where shard `index` lies. Raises DatasetError for a dataset in an object store."""
        return self._path(_shard_name(index))

    def commit_path(self, index: int) -> Path:
        """Where the commit of shard `index` lies. Raises DatasetError for a dataset in an object store."""
        return self._path(_commit_name(index))

    def commit(self, index: int) -> Commit | None:
        """The commit of shard `index`, or None while there is none. Read once and then remembered."""
        if index not in self._commits:
            commit = self.read_commit(index)
            if commit is None:
                return None
            self._commits[index] = commit
        return self._commits[index]

    def read_commit(self, index: int) -> Commit | None:
        """As `commit`, but read anew, for those who look at many datasets and remember what they need."""
        value = _read_json(self.storage, _commit_name(index))
        return None if value is None else Commit.from_json(value, f"{self.where}/{_commit_name(index)}")

    def state(self) -> DatasetState:
        """How far the dataset is. A sealed one is read from its manifest, a growing one from its commits.

        Raises DatasetFormatError, naming what is damaged.
        """
        value = _read_json(self.storage, "manifest.json")
        recorded = DatasetState("growing")
        if value is not None:
            recorded = DatasetState.from_json(value, f"{self.where}/manifest.json")
        return recorded if recorded.state == "sealed" else replace(recorded, commits=self.commits())

    def commits(self) -> tuple[Commit, ...]:
        """Every commit there is now, in index order. Each file is read once and then remembered."""
        try:
            names = self.storage.names("commits")
        except FileNotFoundError:
            where = f"{self.where}/commits"
            raise DatasetFormatError("this folder is missing; restore it, or make the dataset again", where) from None
        indices = sorted(int(name[:8]) for name in names if _COMMIT_NAME.fullmatch(name))
        found = (self.commit(index) for index in indices)
        return tuple(commit for commit in found if commit is not None)

    def set_state(self, state: State, reason: str = "") -> None:
        """Writes manifest.json: the state, and every commit once it is sealed.

        Raises DatasetFormatError when sealing a dataset that lacks a shard.
        """
        # Of a dataset in any other state the commits are read one by one, see `state`.
        commits = self.commits() if state == "sealed" else ()
        if state == "sealed" and len(commits) != self.header.shards:
            raise DatasetFormatError(f"can't be sealed with {len(commits)} of {self.header.shards} shards", self.where)
        body = {"state": state, "reason": reason, "commits": [asdict(commit) for commit in commits]}
        self.storage.replace("manifest.json", pa.py_buffer(json.dumps(body).encode()))

    def publish(
        self,
        index: int,
        table: pa.Table,
        attempts: int,
        rejections: Mapping[str, int],
        rejections_by_family: Mapping[str, dict[str, int]] | None = None,
    ) -> Commit:
        """Writes shard `index` and commits it; safe to run twice, or in two processes at once.

        Args:
            index: of the shard.
            table: its rows.
            attempts: candidates tried.
            rejections: candidates that failed, by reason.
            rejections_by_family: likewise, by family and reason.

        Raises:
            CommitConflictError: the index is committed with other rows.
        """
        content = records.content_hash(table)
        counts = attempts, dict(rejections), dict(rejections_by_family or {})
        commit = self.commit(index) or self._write(index, table, content, counts)
        if commit.content_sha256 != content:
            raise CommitConflictError(
                f"shard {index} is committed with content {commit.content_sha256[:12]}, this run made {content[:12]}; "
                "the same request must give the same rows: compare library versions in dataset.json",
                f"{self.where}/{_commit_name(index)}",
            )
        return commit

    def motions(self, sha256: str) -> bytes | None:
        """The motions file beside it, of that content; None where there is none."""
        return self.storage.read(motions_name(sha256))

    def read_shard(self, commit: Commit, columns: list[str] | None = None) -> pa.Table:
        """The rows of a committed shard.

        Raises CorruptShardError, naming the file, if it is missing or its bytes are not those that were committed.
        """
        return pq.read_table(pa.BufferReader(self.checked_bytes(commit)), columns=columns, use_threads=False)

    def checked_bytes(self, commit: Commit) -> pa.Buffer:
        """The file of a committed shard. Raises CorruptShardError as `read_shard` does."""
        content = self.shard_bytes(commit.index)
        # Bytes that came over a network are new each time; a mapped file is looked at once.
        if content is None or commit.index not in self._verified or not isinstance(self.storage, LocalStorage):
            content = verify_bytes(content, commit, f"{self.where}/{_shard_name(commit.index)}")
            self._verified.add(commit.index)
        return content

    def open_shard(self, commit: Commit) -> pa.NativeFile:
        """As `checked_bytes`, but read piece by piece from a disk, if need be from a copy: it takes no memory."""
        if not isinstance(self.storage, LocalStorage):
            return _copy(self.checked_bytes(commit))
        path = self.shard_path(commit.index)
        if commit.index not in self._verified:
            verify_shard(path, commit)
            self._verified.add(commit.index)
        try:
            return pa.OSFile(str(path))
        except FileNotFoundError:
            raise _missing(path) from None

    def shard_bytes(self, index: int) -> pa.Buffer | None:
        """The file of shard `index` as it lies there, unchecked; None if it is missing."""
        return self.storage.read(_shard_name(index))

    def shard_size(self, index: int) -> int | None:
        """Bytes of the file of shard `index`; None if it is missing."""
        return self.storage.size(_shard_name(index))

    def shard_part(self, index: int, first: int, length: int) -> pa.Buffer:
        """So many bytes of the file of shard `index` from `first` on, unchecked. Raises CorruptShardError."""
        part = self.storage.read_part(_shard_name(index), first, length)
        if part is None or part.size != length:
            raise _missing(f"{self.where}/{_shard_name(index)}")
        return part

    def _write(
        self,
        index: int,
        table: pa.Table,
        content: str,
        counts: tuple[int, dict[str, int], dict[str, dict[str, int]]],
    ) -> Commit:
        """Writes shard `index` and commits it. Returns the commit that won, another producer's if that came first."""
        packed = records.to_parquet(table)
        file_sha256 = hashlib.sha256(packed).hexdigest()
        name = _shard_name(index)
        if not self.storage.create(name, packed):
            # Without a commit it is a killed producer's: one of the same bytes will do, any other is replaced.
            there = self.storage.read(name)
            same = there is not None and hashlib.sha256(there).hexdigest() == file_sha256
            if not same and self.commit(index) is None:
                self.storage.replace(name, packed)
        samples = len(records.list_column(table, "gripper")[0])
        statistics = column_statistics(table, self.header.robot.dof)
        attempts, rejections, by_family = counts
        ours = Commit(
            index,
            table.num_rows,
            samples,
            packed.size,
            file_sha256,
            content,
            attempts,
            rejections,
            statistics,
            by_family,
        )
        self.storage.create(_commit_name(index), pa.py_buffer(json.dumps(asdict(ours)).encode()))
        winner = self.commit(index)
        assert winner is not None
        return winner

    def _path(self, name: str) -> Path:
        if not isinstance(self.storage, LocalStorage):
            raise DatasetError("is in an object store, so it has no files here; copy it to a directory", self.where)
        return self.storage.path(name)


def verify_shard(path: Path, commit: Commit) -> None:
    """Raises CorruptShardError unless `path` holds the committed bytes."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            _verify(size, lambda: hashlib.file_digest(file, "sha256").hexdigest(), commit, path)
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(path) from None


def verify_bytes(content: pa.Buffer | None, commit: Commit, where: Path | str) -> pa.Buffer:
    """A shard's bytes, or None where there are none. Raises CorruptShardError unless they are those committed."""
    if content is None:
        raise _missing(where)
    _verify(content.size, lambda: hashlib.sha256(content).hexdigest(), commit, where)
    return content


def _verify(size: int, sha256: Callable[[], str], commit: Commit, where: Path | str) -> None:
    if size != commit.bytes:
        raise CorruptShardError(
            f"has {size} bytes where {commit.bytes} were committed; delete it and its commit to make it again", where
        )
    if sha256() != commit.file_sha256:
        raise CorruptShardError(
            "its bytes differ from those committed; delete it and its commit to make it again", where
        )


def _copy(content: pa.Buffer) -> pa.NativeFile:
    """The bytes in a file that is gone once it is closed."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return pa.OSFile(file.name)


def _missing(where: Path | str) -> CorruptShardError:
    return CorruptShardError("is committed but missing; restore it, or delete its commit to make it again", where)


def _shard_name(index: int) -> str:
    return f"shards/shard-{index:08d}.parquet"


def _commit_name(index: int) -> str:
    return f"commits/{index:08d}.json"


def _read_json(storage: Storage, name: str) -> Any:
    """The JSON in a file, or None if there is no such file."""
    content = storage.read(name)
    if content is None:
        return None
    try:
        value = json.loads(content.to_pybytes())
        if value is None:
            raise ValueError("it says null")
    except ValueError as error:
        where = f"{storage.where}/{name}"
        raise DatasetFormatError(f"is not JSON: {error}; restore it, or make the dataset again", where) from error
    return value


def motions_name(sha256: str) -> str:
    """Name of the motions file of that content, beside the dataset of copies."""
    return f"motions-{sha256}.parquet"
