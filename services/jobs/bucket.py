"""Datasets in an object store."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from headstart_client.data.object_store import ObjectStorage, below
from services.jobs.errors import StorageError
from shared.dataset import Dataset
from shared.errors import DatasetError, ObjectStoreError

_LOOK_EVERY_S = 5.0


class Bucket:
    """A prefix with one for each dataset below it: a services.jobs.dataset_root.DatasetRoot."""

    def __init__(self, uri: str) -> None:
        """Connects when first used. Raises DatasetFormatError."""
        self._uri = uri
        self._storage, self._probe = ObjectStorage(uri), ObjectStorage(uri, timedelta(0))
        self._looked_at, self._problem = float("-inf"), ""

    def names(self) -> list[str]:
        """See DatasetRoot.names."""
        return self._storage.folders()

    def where(self, job_id: str) -> str:
        """See DatasetRoot.where."""
        return below(self._uri, job_id)

    def begun_at(self, job_id: str) -> datetime:
        """See DatasetRoot.begun_at."""
        made = self._storage.made_at(f"{job_id}/dataset.json")
        if made is None:
            raise StorageError(f"dataset {job_id[:12]} is gone")
        return made

    def problem(self, wanted_bytes: float = 0.0) -> str:
        """See DatasetRoot.problem. There is room without end; asked at most every few seconds whether it answers."""
        if time.monotonic() - self._looked_at > _LOOK_EVERY_S:
            try:
                self._probe.size("dataset.json")
                self._problem = ""
            except ObjectStoreError as error:
                self._problem = str(error)
            self._looked_at = time.monotonic()
        return self._problem

    def remove(self, job_id: str) -> Callable[[], None]:
        """See DatasetRoot.remove. Commits go first: until dataset.json goes it is a dataset that lacks some.

        manifest.json, which says that it is cancelled, goes last: without it, it would be one that grows.
        """
        storage = ObjectStorage(self.where(job_id))
        try:
            Dataset(self.where(job_id)).set_state("cancelled")
            names = storage.paths()
            last = ("dataset.json", "manifest.json")
            for start in ("commits/", "shards/", "robot/", ""):
                storage.remove(name for name in names if name.startswith(start) and name not in last)
            for name in last:
                storage.remove([name])
        except DatasetError as error:
            raise StorageError(f"the dataset can't be deleted: {error}") from error
        return _nothing


def _nothing() -> None:
    """What is removed from an object store frees its room at once."""
