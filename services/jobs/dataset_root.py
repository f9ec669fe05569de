"""Where a service's datasets lie, each named by its id: a folder, or a prefix in an object store."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from services.jobs.bucket import Bucket
from services.jobs.data_folder import DataFolder
from shared.storage import Location


class DatasetRoot(Protocol):
    """Holds datasets. Its methods raise StorageError, DatasetError or OSError when it can't be reached."""

    def names(self) -> list[str]:
        """Names of what may be a dataset."""
        ...

    def where(self, job_id: str) -> Location:
        """Where a job's dataset lies."""
        ...

    def begun_at(self, job_id: str) -> datetime:
        """When a dataset was begun."""
        ...

    def problem(self, wanted_bytes: float = 0.0) -> str:
        """Why it can't take so many bytes, or ""."""
        ...

    def remove(self, job_id: str) -> Callable[[], None]:
        """Takes a dataset away from its name. What it returns frees its room, when called. Raises StorageError."""
        ...


def open_dataset_root(data: Location, min_free_bytes: int = 0) -> DatasetRoot:
    """The place at a path or URI. Raises OSError, DatasetFormatError.

    Args:
        data: a folder, which is made if it is missing, or the URI of a prefix.
        min_free_bytes: disk space of a folder that no job is to use up.
    """
    return DataFolder(data, min_free_bytes) if isinstance(data, Path) else Bucket(data)
