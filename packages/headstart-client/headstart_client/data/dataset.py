"""A dataset in a directory or an object store, as a reader sees it, finished or while it grows.

    dataset.json                                      immutable, written first (DatasetHeader)
    shards/shard-00000012-0123456789abcdef.parquet    named by the hash of its rows; created whole, never replaced
    commits/                                          what alone makes shards visible (commit_folder)
    manifest.json                                     state, and the sums over the commits (Manifest)

Nothing is ever visible half-written.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from headstart_client.data.commit_folder import CommitFolder, Statistics, parse_json
from headstart_client.data.commits import Commits, DatasetState
from headstart_client.data.index_set import IndexSet
from headstart_client.data.manifest import Commit, DatasetHeader, Manifest, Totals
from headstart_client.data.storage import LocalStorage, Location, Storage, open_storage
from headstart_client.errors import CorruptShardError, DatasetError, DatasetFormatError

MANIFEST = "manifest.json"
_MISSING = "is committed but missing; restore it, or make the dataset again"
_DAMAGED = "restore it, or make the dataset again"
_PIECE_BYTES = 1 << 18


class StoredDataset:
    """A dataset directory, or one in an object store: a headstart_client.data.follow.ShardSource."""

    def __init__(self, where: Location) -> None:
        """Opens a dataset by its path or URI. Raises DatasetFormatError if it is not one."""
        self.storage = open_storage(where)
        value = _read_json(self.storage, "dataset.json")
        if value is None:
            raise DatasetFormatError("no dataset.json here; give the directory that holds it", self.where)
        self.header = DatasetHeader.from_json(value, f"{self.where}/dataset.json")
        self._folder = CommitFolder(self.storage, self.header.shards)
        self._verified: set[str] = set()

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
        value = _read_json(self.storage, MANIFEST)
        return Manifest("growing") if value is None else Manifest.from_json(value, f"{self.where}/{MANIFEST}")

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

    def motions(self, sha256: str) -> bytes | None:
        """The motions file beside it, of that content; None where there is none."""
        return self.storage.read(motions_name(sha256))

    def read_shard(self, commit: Commit, columns: list[str] | None = None) -> pa.Table:
        """The rows of a committed shard.

        Raises CorruptShardError, naming the file, if it is missing or its bytes are not those that were committed.
        """
        return read_table(self.checked_bytes(commit), columns)

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

    def _commits(self, manifest: Manifest) -> Commits:
        if manifest.state != "sealed":
            return self._folder.look()
        if not manifest.commits:
            return self._folder.all()
        listed = {commit.index: commit for commit in manifest.commits}
        return Commits(IndexSet.of(listed), lambda indices: [listed[index] for index in indices])

    def _path(self, name: str) -> Path:
        if not isinstance(self.storage, LocalStorage):
            raise DatasetError("is in an object store, so it has no files here; copy it to a directory", self.where)
        return self.storage.path(name)


def verify_shard(path: Path, commit: Commit) -> None:
    """Raises CorruptShardError unless `path` holds the committed bytes."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            _verify(size, lambda: _sha256(file), commit, path)
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


def _sha256(file: BinaryIO) -> str:
    """The sha256 of the rest of a file, read piece by piece (hashlib.file_digest is of Python 3.11)."""
    digest = hashlib.sha256()
    while piece := file.read(_PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def _copy(content: pa.Buffer) -> pa.NativeFile:
    """The bytes in a file that is gone once it is closed."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return pa.OSFile(file.name)


def read_table(content: pa.Buffer, columns: list[str] | None = None) -> pa.Table:
    """The rows in the bytes of a shard."""
    return pq.read_table(pa.BufferReader(content), columns=columns, use_threads=False)


def _read_json(storage: Storage, name: str) -> Any:
    """The JSON in a file, or None if there is no such file."""
    content = storage.read(name)
    return None if content is None else parse_json(content, f"{storage.where}/{name}")


def motions_name(sha256: str) -> str:
    """Name of the motions file of that content, beside the dataset of copies."""
    return f"motions-{sha256}.parquet"
