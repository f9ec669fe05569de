"""The dataset, in a directory or an object store: publish a shard, commit it, read it, follow it while it grows.

    dataset.json                                      immutable, written first (DatasetHeader)
    shards/shard-00000012-0123456789abcdef.parquet    named by the hash of its rows; created whole, never replaced
    commits/                                          what alone makes shards visible (shared.commit_folder)
    manifest.json                                     state, and the sums over the commits (Manifest)

Tasks run at least once and take effect exactly once: the first commit of an index wins, and a different content for it
is an error. Nothing is ever visible half-written, so a killed producer resumes from the commits. Two producers of the
same rows may pack them into other bytes: they want the same name, one file is there, and both commit that one. How a
file is made to appear is shared.storage's part.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared import records
from shared.commit_folder import CommitFolder, Statistics, parse_json
from shared.commits import Commits, DatasetState
from shared.errors import (
    CommitConflictError,
    CorruptShardError,
    DatasetError,
    DatasetFormatError,
    GeneratorVersionError,
)
from shared.index_set import IndexSet
from shared.manifest import Commit, DatasetHeader, Manifest, State, Totals
from shared.statistics import column_statistics
from shared.storage import LocalStorage, Location, Storage, open_storage

_MANIFEST = "manifest.json"
_MISSING = "is committed but missing; restore it, or make the dataset again"
_DAMAGED = "restore it, or make the dataset again"


class Dataset:
    """A dataset directory, or one in an object store: what a producer writes and a reader follows."""

    def __init__(self, where: Location) -> None:
        """Opens a dataset by its path or URI. Raises DatasetFormatError if it is not one."""
        self.storage = open_storage(where)
        value = _read_json(self.storage, "dataset.json")
        if value is None:
            raise DatasetFormatError("no dataset.json here; give the directory that holds it", self.where)
        self.header = DatasetHeader.from_json(value, f"{self.where}/dataset.json")
        self._folder = CommitFolder(self.storage, self.header.shards)
        self._verified: set[str] = set()

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
            "dataset.json", pa.py_buffer(json.dumps(_begun_now(header).to_json(), indent=1).encode())
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
        if begun or storage.read(_MANIFEST) is None:
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
        """Where shard `index` lies, once it is committed.

        Raises DatasetError for a dataset in an object store, and DatasetFormatError while there is no commit.
        """
        commit = self.commit(index)
        if commit is None:
            raise DatasetFormatError(f"shard {index} is not committed", self.where)
        return self._path(f"shards/{commit.file}")

    def commit(self, index: int) -> Commit | None:
        """The commit of shard `index`, or None while there is none."""
        return self._folder.find(index)

    def read_commits(self, indices: Sequence[int]) -> list[Commit]:
        """The commits of these shards, all of which there are; in their order."""
        return self._folder.read(indices)

    def statistics(self, index: int) -> Statistics:
        """Statistics of the columns of a committed shard."""
        return self._folder.statistics(index)

    def manifest(self) -> Manifest:
        """Its state, and sums over its commits. Raises DatasetFormatError if the file is damaged."""
        value = _read_json(self.storage, _MANIFEST)
        return Manifest("growing") if value is None else Manifest.from_json(value, f"{self.where}/{_MANIFEST}")

    def state(self) -> DatasetState:
        """How far the dataset is. Raises DatasetFormatError, naming what is damaged."""
        manifest = self.manifest()
        return DatasetState(manifest.state, manifest.reason, self._commits(manifest))

    def commits(self) -> Commits:
        """Every commit there is now."""
        return self._commits(self.manifest())

    def totals(self) -> Totals:
        """The sums over every commit there is now; those of a sealed dataset are in its manifest."""
        manifest = self.manifest()
        if manifest.state == "sealed" and manifest.totals is not None:
            return manifest.totals
        return self._commits(manifest).totals()

    def compact(self) -> None:
        """Puts commits of many shards into one file, as far as they are complete; readers see no difference."""
        self._folder.compact()

    def set_state(self, state: State, reason: str = "") -> None:
        """Writes manifest.json: the state, and the sums over the commits unless it goes on growing.

        Raises DatasetFormatError when sealing a dataset that lacks a shard.
        """
        manifest = Manifest(state, reason, None if state == "growing" else self._final_totals(state))
        self.storage.replace(_MANIFEST, pa.py_buffer(json.dumps(manifest.to_json()).encode()))

    def publish(
        self,
        index: int,
        table: pa.Table,
        attempts: int,
        rejections: Mapping[str, int],
        rejections_by_family: Mapping[str, dict[str, int]] | None = None,
        redraws_by_family: Mapping[str, dict[str, int]] | None = None,
    ) -> Commit:
        """Writes shard `index` and commits it; safe to run twice, or in two processes at once.

        Args:
            index: of the shard.
            table: its rows.
            attempts: candidates tried.
            rejections: candidates that failed, by reason.
            rejections_by_family: likewise, by family and reason.
            redraws_by_family: ends of motions that were drawn anew, likewise.

        Raises:
            CommitConflictError: the index is committed with other rows.
        """
        content = records.content_hash(table)
        counts = {
            "attempts": attempts,
            "rejections": dict(rejections),
            "rejections_by_family": dict(rejections_by_family or {}),
            "redraws_by_family": dict(redraws_by_family or {}),
        }
        commit = self.commit(index) or self._write(index, table, content, counts)
        if commit.content_sha256 != content:
            raise CommitConflictError(
                f"shard {index} is committed with content {commit.content_sha256[:12]}, this run made {content[:12]}; "
                "the same request must give the same rows: compare library versions in dataset.json",
                f"{self.where}/commits",
            )
        return commit

    def motions(self, sha256: str) -> bytes | None:
        """The motions file beside it, of that content; None where there is none."""
        return self.storage.read(motions_name(sha256))

    def read_shard(self, commit: Commit, columns: list[str] | None = None) -> pa.Table:
        """The rows of a committed shard.

        Raises CorruptShardError, naming the file, if it is missing or its bytes are not those that were committed.
        """
        return _read_table(self.checked_bytes(commit), columns)

    def checked_bytes(self, commit: Commit) -> pa.Buffer:
        """The file of a committed shard. Raises CorruptShardError as `read_shard` does."""
        content = self.shard_bytes(commit)
        # Bytes that came over a network are new each time; a mapped file is looked at once.
        if content is None or commit.file not in self._verified or not isinstance(self.storage, LocalStorage):
            content = verify_bytes(content, commit, f"{self.where}/shards/{commit.file}")
            self._verified.add(commit.file)
        return content

    def open_shard(self, commit: Commit) -> pa.NativeFile:
        """As `checked_bytes`, but read piece by piece from a disk, if need be from a copy: it takes no memory."""
        if not isinstance(self.storage, LocalStorage):
            return _copy(self.checked_bytes(commit))
        path = self._path(f"shards/{commit.file}")
        if commit.file not in self._verified:
            verify_shard(path, commit)
            self._verified.add(commit.file)
        try:
            return pa.OSFile(str(path))
        except FileNotFoundError:
            raise CorruptShardError(_MISSING, path) from None

    def shard_bytes(self, commit: Commit) -> pa.Buffer | None:
        """The file of a committed shard as it lies there, unchecked; None if it is missing."""
        return self.storage.read(f"shards/{commit.file}")

    def shard_size(self, commit: Commit) -> int | None:
        """Bytes of the file of a committed shard; None if it is missing."""
        return self.storage.size(f"shards/{commit.file}")

    def shard_part(self, commit: Commit, first: int, length: int) -> pa.Buffer:
        """So many bytes of the file of a committed shard from `first` on, unchecked. Raises CorruptShardError."""
        part = self.storage.read_part(f"shards/{commit.file}", first, length)
        if part is None or part.size != length:
            raise CorruptShardError(_MISSING, f"{self.where}/shards/{commit.file}")
        return part

    def _final_totals(self, state: State) -> Totals:
        """The sums over all commits there will be, which are put together."""
        self._folder.compact()
        commits = self._folder.look()
        if state == "sealed" and commits.watermark != self.header.shards:
            raise DatasetFormatError(f"can't be sealed with {len(commits)} of {self.header.shards} shards", self.where)
        return commits.totals()

    def _commits(self, manifest: Manifest) -> Commits:
        if manifest.state != "sealed":
            return self._folder.look()
        if not manifest.commits:
            return self._folder.all()
        listed = {commit.index: commit for commit in manifest.commits}
        return Commits(IndexSet.of(listed), lambda indices: [listed[index] for index in indices])

    def _write(self, index: int, table: pa.Table, content: str, counts: Mapping[str, Any]) -> Commit:
        """Writes shard `index` and commits it. Returns the commit that won, another producer's if that came first."""
        file = f"shard-{index:08d}-{content[:16]}.parquet"
        packed = self._create_shard(f"shards/{file}", records.to_parquet(table), content)
        ours = Commit(
            index=index,
            rows=table.num_rows,
            samples=len(records.list_column(table, "gripper")[0]),
            bytes=packed.size,
            file=file,
            file_sha256=hashlib.sha256(packed).hexdigest(),
            content_sha256=content,
            **counts,
        )
        self._folder.create(ours, column_statistics(table, self.header.robot.dof))
        winner = self.commit(index)
        assert winner is not None
        return winner

    def _create_shard(self, name: str, packed: pa.Buffer, content: str) -> pa.Buffer:
        """Creates a shard's file. Returns the bytes that lie there, other ones if another producer came first.

        Raises CorruptShardError if those are not of the same rows: a file that is there is never replaced.
        """
        if self.storage.create(name, packed):
            return packed
        there = self.storage.read(name)
        try:
            if there is None:
                raise ValueError("it went away just now")
            if not there.equals(packed) and records.content_hash(_read_table(there)) != content:
                raise ValueError("it has other rows")
        except (OSError, ValueError, pa.ArrowException) as error:
            where = f"{self.where}/{name}"
            raise CorruptShardError(f"is not what its name says: {error}; delete it, then go on", where) from error
        return there

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
        raise CorruptShardError(_MISSING, path) from None


def verify_bytes(content: pa.Buffer | None, commit: Commit, where: Path | str) -> pa.Buffer:
    """A shard's bytes, or None where there are none. Raises CorruptShardError unless they are those committed."""
    if content is None:
        raise CorruptShardError(_MISSING, where)
    _verify(content.size, lambda: hashlib.sha256(content).hexdigest(), commit, where)
    return content


def _verify(size: int, sha256: Callable[[], str], commit: Commit, where: Path | str) -> None:
    if size != commit.bytes:
        raise CorruptShardError(f"has {size} bytes where {commit.bytes} were committed; {_DAMAGED}", where)
    if sha256() != commit.file_sha256:
        raise CorruptShardError(f"its bytes differ from those committed; {_DAMAGED}", where)


def _copy(content: pa.Buffer) -> pa.NativeFile:
    """The bytes in a file that is gone once it is closed."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return pa.OSFile(file.name)


def _read_table(content: pa.Buffer, columns: list[str] | None = None) -> pa.Table:
    return pq.read_table(pa.BufferReader(content), columns=columns, use_threads=False)


def _begun_now(header: DatasetHeader) -> DatasetHeader:
    return replace(header, created_at=datetime.now(UTC).isoformat())


def _read_json(storage: Storage, name: str) -> Any:
    """The JSON in a file, or None if there is no such file."""
    content = storage.read(name)
    return None if content is None else parse_json(content, f"{storage.where}/{name}")


def motions_name(sha256: str) -> str:
    """Name of the motions file of that content, beside the dataset of copies."""
    return f"motions-{sha256}.parquet"
