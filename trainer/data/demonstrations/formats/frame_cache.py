"""Pictures decoded once into files that are then memory-mapped.

    <folder>/<key>/frames.bin    (n, height, width, 3) uint8
    <folder>/<key>/entry.json    their shape, and the time of each [s]
    <folder>/sources/<name>.json the hash of a source file, with the size and time it was taken at

An entry's key is a hash of the source's content and of how it was decoded: renamed data sets share entries, and changed
ones never do. Entries appear whole. The folder holds at most `most_bytes`: what was not used longest goes first.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigError

MOST_BYTES = 50_000_000_000
# Raised whenever the same source would be decoded to other pictures.
_VERSION = 1

Picture = NDArray[np.uint8]


class Decoded(NamedTuple):
    """Pictures of a source: (n, height, width, 3), memory-mapped, the time of each [s], (n,), and their entry's key."""

    frames: Picture
    times: NDArray[np.float64]
    key: str


class FrameCache:
    """A folder of decoded pictures, which several programs may share.

    Attributes:
        folder: made when first needed.
        most_bytes: of all entries together.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.folder, self.most_bytes = folder, most_bytes
        self._used: dict[str, Decoded] = {}

    def get(
        self,
        source: Path,
        part: str,
        size: tuple[int, int],
        expected: int,
        decode: Callable[[], Iterator[tuple[float, Picture]]],
    ) -> Decoded:
        """The pictures of a source, decoded now if they were not before.

        Args:
            source: the file that they are in.
            part: which of its pictures these are.
            size: height and width that they are decoded to.
            expected: how many there should be; more are decoded too.
            decode: gives the time and the picture of each.

        Raises:
            ConfigError: they do not fit into `most_bytes` beside what this program uses already.
        """
        key = hashlib.sha256(f"{_VERSION}|{self._hash(source)}|{part}|{size}".encode()).hexdigest()[:40]
        # Episodes share videos, and the times of a long one are megabytes of JSON.
        if (used := self._used.get(key)) is not None:
            return used
        entry = self.folder / key
        if (found := self._open(entry)) is None:
            self._make_room(expected * size[0] * size[1] * 3, size)
            self._write(entry, size, decode())
            found = self._open(entry)
            assert found is not None
        self._used[key] = found
        os.utime(entry)
        return found

    def _open(self, entry: Path) -> Decoded | None:
        """An entry, or None where it is not there or is damaged, which removes it."""
        try:
            content = json.loads((entry / "entry.json").read_text())
            shape = tuple(int(number) for number in content["shape"])
            frames = np.memmap(entry / "frames.bin", np.uint8, "r", shape=shape)
            # A plain view: indexing a np.memmap costs more than the picture.
            return Decoded(np.asarray(frames), np.array(content["times"], np.float64), entry.name)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            shutil.rmtree(entry, ignore_errors=True)
            return None

    def _write(self, entry: Path, size: tuple[int, int], pictures: Iterator[tuple[float, Picture]]) -> None:
        part = self.folder / f".{entry.name}.{uuid.uuid4().hex}.part"
        part.mkdir(parents=True)
        try:
            times = []
            with (part / "frames.bin").open("wb") as file:
                for time, picture in pictures:
                    times.append(time)
                    file.write(picture.tobytes())
                    if file.tell() > self.most_bytes:
                        raise self._too_large(size)
            shape = [len(times), *size, 3]
            (part / "entry.json").write_text(json.dumps({"shape": shape, "times": times}))
            try:
                part.rename(entry)
            except OSError:
                # Another program has been faster, with the same pictures.
                if not entry.is_dir():
                    raise
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _make_room(self, needed: int, size: tuple[int, int]) -> None:
        """Removes entries that this program does not use until `needed` bytes fit."""
        used = sum(found.frames.nbytes for found in self._used.values())
        if used + needed > self.most_bytes:
            raise self._too_large(size)
        others = [path for path in self._entries() if path.name not in self._used]
        oldest_first = sorted(others, key=lambda path: path.stat().st_mtime)
        total = needed + used + sum(_size(path) for path in others)
        for path in oldest_first:
            if total <= self.most_bytes:
                break
            total -= _size(path)
            shutil.rmtree(path, ignore_errors=True)

    def _too_large(self, size: tuple[int, int]) -> ConfigError:
        return ConfigError(
            f"pictures of {size[0]} x {size[1]} need more than the {self.most_bytes / 1e9:g} GB of the cache "
            f"{self.folder}; make them smaller with observation.image_size in the mapping, or the cache larger with "
            "--frames-gb"
        )

    def _entries(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if path.is_dir() and (path / "entry.json").is_file()]

    def _hash(self, source: Path) -> str:
        """The sha256 of a file, remembered for as long as its size and time stay."""
        path = source.resolve()
        status = path.stat()
        state = [status.st_size, status.st_mtime_ns]
        note = self.folder / "sources" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:40]}.json"
        try:
            known = json.loads(note.read_text())
            if known["state"] == state:
                return str(known["sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        note.parent.mkdir(parents=True, exist_ok=True)
        part = note.with_suffix(f".{uuid.uuid4().hex}.part")
        part.write_text(json.dumps({"state": state, "sha256": digest, "path": str(path)}))
        part.replace(note)
        return digest


def _size(entry: Path) -> int:
    try:
        return (entry / "frames.bin").stat().st_size
    except OSError:
        return 0
