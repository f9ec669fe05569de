"""The motions files of a service: demonstrations that were uploaded to be copied, by the sha256 of their content."""

import functools
import os
import re
import threading
import uuid
from pathlib import Path

from shared import motions_parquet
from shared.dataset import motions_name
from shared.demonstrated_motions import DemonstratedMotions
from shared.errors import MotionsError
from shared.motions_file import read_motions

_NAME = re.compile(r"motions-([0-9a-f]{64})\.parquet")
_READ = 16
"""Files kept in memory, those used last."""


class MotionsRegistryFullError(MotionsError):
    """No more motions files are taken."""


class MotionsRegistry:
    """A folder with a file for each. Every method may be called from any thread."""

    def __init__(self, folder: Path, most: int) -> None:
        """Opens a folder, which is made with the first file; it takes `most` of them."""
        self._folder, self._most = folder, most
        self._changing = threading.Lock()
        self._read = functools.lru_cache(maxsize=_READ)(read_motions)

    def names(self) -> list[str]:
        """The sha256 of every file."""
        files = os.listdir(self._folder) if self._folder.is_dir() else []
        return sorted(match[1] for name in files if (match := _NAME.fullmatch(name)))

    def find(self, sha256: str) -> DemonstratedMotions | None:
        """The motions of that content; None where there are none. Raises MotionsError where they are damaged."""
        path = self._path(sha256)
        return self._read(path) if path is not None and path.is_file() else None

    def content(self, sha256: str) -> bytes | None:
        """Their file; None where there is none."""
        path = self._path(sha256)
        return path.read_bytes() if path is not None and path.is_file() else None

    def add(self, motions: DemonstratedMotions) -> bool:
        """Keeps motions; False if they were there. Raises MotionsRegistryFullError, OSError."""
        path = self._path(motions.content_sha256)
        assert path is not None
        with self._changing:
            if path.is_file():
                return False
            if len(self.names()) >= self._most:
                raise MotionsRegistryFullError(f"{self._most} motions files were uploaded already; delete one first")
            self._folder.mkdir(parents=True, exist_ok=True)
            part = self._folder / f".{uuid.uuid4().hex}"
            try:
                part.write_bytes(motions_parquet.to_parquet(motions))
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
            return True

    def remove(self, sha256: str) -> bool:
        """Forgets a file; False if there was none. Datasets keep their own copy. Raises OSError."""
        path = self._path(sha256)
        with self._changing:
            if path is None or not path.is_file():
                return False
            path.unlink()
            self._read.cache_clear()
            return True

    def _path(self, sha256: str) -> Path | None:
        """Where a file of that content lies; None for what is no sha256."""
        name = motions_name(sha256)
        return self._folder / name if _NAME.fullmatch(name) else None
