"""Where a dataset lies: a directory here, or an object store (headstart_client.data.object_store).

Both give the same guarantees: a file appears whole or not at all, and `create` has exactly one winner. That is all
that the commit protocol of headstart_client.data.dataset needs.
"""

import os
import time
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import pyarrow as pa

Location = Path | str
"""A directory, or the URI of one: s3://bucket/prefix, gs://..., az://..., file:///..."""

_PARTS = ".tmp"


class Storage(Protocol):
    """Files by name, as `shards/shard-00000000.parquet`. Raises OSError or DatasetError when it can't be reached."""

    @property
    def where(self) -> str:
        """Where it is, as a user would write it; `open_storage` opens it again."""
        ...

    def prepare(self, folders: Iterable[str]) -> None:
        """Makes it ready to hold files in these folders."""
        ...

    def read(self, name: str) -> pa.Buffer | None:
        """A file's bytes, or None if there is no such file."""
        ...

    def read_all(self, names: Sequence[str]) -> list[pa.Buffer | None]:
        """The bytes of several small files, as `read` gives them; side by side where that is faster."""
        ...

    def remove(self, names: Iterable[str]) -> None:
        """Removes files, those that are there. What a power failure brings back of them does no harm."""
        ...

    def size(self, name: str) -> int | None:
        """How many bytes a file has, or None if there is no such file."""
        ...

    def read_part(self, name: str, first: int, length: int) -> pa.Buffer | None:
        """So many of a file's bytes from `first` on, all of which it has; None if there is no such file."""
        ...

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, in no order. Raises FileNotFoundError if the folder should be there."""
        ...

    def create(self, name: str, content: pa.Buffer) -> bool:
        """Makes a file appear, whole and lasting. False, and nothing is changed, if there is one of that name."""
        ...

    def replace(self, name: str, content: pa.Buffer) -> None:
        """As `create`, but a file of that name is replaced."""
        ...

    def sweep(self, older_than_s: float) -> None:
        """Removes what killed producers left unfinished so long ago."""
        ...


def open_storage(where: Location) -> Storage:
    """The storage at a path or URI; nothing is touched yet.

    Raises:
        DatasetFormatError: a URI of a kind that isn't known, or that doesn't say where.
    """
    text = str(where)
    if "://" not in text:
        return LocalStorage(Path(where))
    if text.startswith("file://"):
        return LocalStorage(Path(unquote(urlsplit(text).path)))
    from headstart_client.data.object_store import ObjectStorage  # not for the many who need none

    return ObjectStorage(text)


def absolute(where: Location) -> Location:
    """The same place, named so that a process in another working directory finds it."""
    return where if "://" in str(where) else Path(where).absolute()


class LocalStorage:
    """A directory. Files are written as .tmp/<uuid>.part, fsynced, and linked or renamed to their names."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def where(self) -> str:
        """The directory."""
        return str(self.root)

    def path(self, name: str) -> Path:
        """Where a file lies."""
        return self.root / name

    def prepare(self, folders: Iterable[str]) -> None:
        """See Storage.prepare."""
        _make_folder(self.root)
        # Their names last with that of the first file that is created beside them.
        for folder in (*folders, _PARTS):
            (self.root / folder).mkdir(exist_ok=True)

    def read(self, name: str) -> pa.Buffer | None:
        """See Storage.read. Memory-mapped: only what is looked at is read."""
        return map_file(self.root / name)

    def read_all(self, names: Sequence[str]) -> list[pa.Buffer | None]:
        """See Storage.read_all."""
        return [_read_small(self.root / name) for name in names]

    def remove(self, names: Iterable[str]) -> None:
        """See Storage.remove."""
        for name in names:
            (self.root / name).unlink(missing_ok=True)

    def size(self, name: str) -> int | None:
        """See Storage.size."""
        path = self.root / name
        return path.stat().st_size if path.is_file() else None

    def read_part(self, name: str, first: int, length: int) -> pa.Buffer | None:
        """See Storage.read_part."""
        try:
            with (self.root / name).open("rb") as file:
                return pa.py_buffer(os.pread(file.fileno(), length, first))
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        """See Storage.names."""
        return os.listdir(self.root / folder)

    def create(self, name: str, content: pa.Buffer) -> bool:
        """See Storage.create."""
        part, target = self._write(content), self.root / name
        try:
            os.link(part, target)
            created = True
        except FileExistsError:
            created = False
        finally:
            part.unlink(missing_ok=True)
        # Also where it was there: whoever made it may have been killed before it lasted.
        _fsync(target.parent)
        return created

    def replace(self, name: str, content: pa.Buffer) -> None:
        """See Storage.replace."""
        part, target = self._write(content), self.root / name
        try:
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
        _fsync(target.parent)

    def sweep(self, older_than_s: float) -> None:
        """See Storage.sweep."""
        for part in (self.root / _PARTS).glob("*.part"):
            try:
                if time.time() - part.stat().st_mtime > older_than_s:
                    part.unlink()
            except FileNotFoundError:
                continue

    def _write(self, content: pa.Buffer) -> Path:
        part = self.root / _PARTS / f"{uuid.uuid4().hex}.part"
        try:
            with part.open("wb", buffering=0) as file:
                _write_all(file.fileno(), content)
                os.fsync(file.fileno())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return part


def _make_folder(path: Path) -> None:
    """Makes a folder and those it is in, and has their names last. Also where it was there: see `create`."""
    if not path.parent.is_dir():
        _make_folder(path.parent)
    path.mkdir(exist_ok=True)
    _fsync(path.parent)


def _read_small(path: Path) -> pa.Buffer | None:
    try:
        return pa.py_buffer(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None


def map_file(path: Path) -> pa.Buffer | None:
    """A file's bytes, memory-mapped, or None if there is no such file."""
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
    if size == 0:
        return pa.py_buffer(b"")
    with pa.memory_map(str(path)) as file:
        return file.read_buffer()


def _write_all(descriptor: int, content: pa.Buffer) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
