"""What lasts of the jobs: a directory for each dataset, named by its id, and the idempotency keys that were used."""

import hashlib
import logging
import os
import re
import shutil
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from services.jobs.errors import IdempotencyError, StorageError
from services.jobs.job import STATE_ON_DISK, Job
from services.jobs.progress import Tally
from shared.dataset import Dataset
from shared.errors import DatasetError

_log = logging.getLogger(__name__)
_ID = re.compile(r"[0-9a-f]{64}")
KEYS_LAST_S = 24 * 3600.0
"""How long an idempotency key is remembered."""


class JobStore:
    """The data folder of one service."""

    def __init__(self, data: Path, min_free_bytes: int) -> None:
        """Makes the folder if it is missing, and clears what a killed service left. Raises OSError."""
        self._data = data
        self._keys = data / ".idempotency"
        self._trash = data / ".trash"
        self._min_free_bytes = min_free_bytes
        self._swept_at = 0.0
        self._keys.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._trash, ignore_errors=True)

    def jobs(self) -> list[Job]:
        """The job of every dataset in the folder; damaged ones are left out and said in the log."""
        found = []
        for path in self._data.iterdir():
            try:
                if _ID.fullmatch(path.name) and (path / "dataset.json").is_file():
                    found.append(self.job(path.name))
            except (DatasetError, OSError) as error:
                _log.warning("left out: %s", error)
        return found

    def job(self, job_id: str) -> Job:
        """The job of a dataset, as it is on disk. Raises DatasetError, OSError."""
        # One object to count with, which remembers every commit it reads, and one to keep.
        state = Dataset(self.where(job_id)).state()
        dataset = Dataset(self.where(job_id))
        created = (dataset.root / "dataset.json").stat().st_mtime
        return Job(
            id=dataset.header.dataset_id,
            dataset=dataset,
            created_at=datetime.fromtimestamp(created, UTC),
            state=STATE_ON_DISK[state.state],
            reason=state.reason,
            tally=Tally(dataset.header, state.commits),
        )

    def where(self, job_id: str) -> Path:
        """Where a job's dataset lies."""
        return self._data / job_id

    def problem(self, wanted_bytes: float = 0.0) -> str:
        """Why the folder can't take so many bytes, or ""."""
        try:
            (self._data / ".writable").touch()
            free = shutil.disk_usage(self._data).free
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

    def remember(self, key: str, job_id: str) -> None:
        """Ties an idempotency key to a job for KEYS_LAST_S. Raises IdempotencyError, StorageError."""
        path = self._keys / hashlib.sha256(key.encode()).hexdigest()
        part = self._keys / f"{uuid.uuid4().hex}.part"
        try:
            self._forget_old_keys()
            part.write_text(job_id)
            try:
                os.link(part, path)
            except FileExistsError:
                if path.read_text() != job_id:
                    raise IdempotencyError(
                        "this Idempotency-Key was used for another request; use a new key for a new request"
                    ) from None
            finally:
                part.unlink()
        except OSError as error:
            raise StorageError(f"the data folder can't be written: {error.strerror}") from error

    def bury(self, job_id: str) -> Path:
        """Takes a dataset away from its name at once; readers keep the files they have open. Raises StorageError.

        Returns:
            Where it lies now; to be cleared, and gone with the next start at the latest.
        """
        grave = self._trash / uuid.uuid4().hex
        try:
            self._trash.mkdir(exist_ok=True)
            os.rename(self.where(job_id), grave)
        except OSError as error:
            raise StorageError(f"the dataset can't be deleted: {error.strerror}; see the data folder") from error
        return grave

    def clear(self, grave: Path) -> None:
        """Removes the files of a buried dataset."""
        shutil.rmtree(grave, ignore_errors=True)

    def _forget_old_keys(self) -> None:
        now = time.time()
        if now - self._swept_at < KEYS_LAST_S / 100:
            return
        self._swept_at = now
        for entry in os.scandir(self._keys):
            if now - entry.stat().st_mtime > KEYS_LAST_S:
                os.unlink(entry)


def _mib(size: float) -> str:
    return f"{size / 2**20:,.1f} MiB"
