"""Datasets in a folder of this machine."""

import os
import shutil
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from services.jobs.errors import StorageError


class DataFolder:
    """A folder with a directory for each dataset: a services.jobs.dataset_root.DatasetRoot."""

    def __init__(self, folder: Path, min_free_bytes: int) -> None:
        """Makes the folder if it is missing, and clears what a killed service left. Raises OSError."""
        self._folder = folder
        self._trash = folder / ".trash"
        self._min_free_bytes = min_free_bytes
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._trash, ignore_errors=True)

    def names(self) -> list[str]:
        """See DatasetRoot.names."""
        return [path.name for path in self._folder.iterdir() if (path / "dataset.json").is_file()]

    def where(self, job_id: str) -> Path:
        """See DatasetRoot.where."""
        return self._folder / job_id

    def begun_at(self, job_id: str) -> datetime:
        """See DatasetRoot.begun_at."""
        return datetime.fromtimestamp((self.where(job_id) / "dataset.json").stat().st_mtime, UTC)

    def problem(self, wanted_bytes: float = 0.0) -> str:
        """See DatasetRoot.problem."""
        try:
            (self._folder / ".writable").touch()
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            return f"the data folder can't be written: {error.strerror}"
        if free < self._min_free_bytes:
            return f"{_mib(free)} are free where the data lies, {_mib(self._min_free_bytes)} are required"
        if free - self._min_free_bytes < wanted_bytes:
            return (
                f"{_mib(wanted_bytes)} more are needed, and {_mib(free)} are free where the data lies, of which "
                f"{_mib(self._min_free_bytes)} are kept"
            )
        return ""

    def remove(self, job_id: str) -> Callable[[], None]:
        """See DatasetRoot.remove. Readers keep the files they have open; the next start frees what was left."""
        grave = self._trash / uuid.uuid4().hex
        try:
            self._trash.mkdir(exist_ok=True)
            os.rename(self.where(job_id), grave)
        except OSError as error:
            raise StorageError(f"the dataset can't be deleted: {error.strerror}; see the data folder") from error
        return partial(shutil.rmtree, grave, ignore_errors=True)


def _mib(size: float) -> str:
    return f"{size / 2**20:,.1f} MiB"
