"""Idempotency keys that callers used, each tied to a job for a day."""

import hashlib
import os
import threading
import time
import uuid
from pathlib import Path

from services.jobs.errors import IdempotencyError, StorageError

KEYS_LAST_S = 24 * 3600.0
"""How long a key is remembered."""


class IdempotencyKeys:
    """The keys of one service, in a folder."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder if it is missing. Raises OSError."""
        self._folder = folder
        self._swept_at = 0.0
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def remember(self, key: str, job_id: str) -> None:
        """Ties a key to a job for KEYS_LAST_S. Raises IdempotencyError, StorageError."""
        path = self._folder / hashlib.sha256(key.encode()).hexdigest()
        part = self._folder / f"{uuid.uuid4().hex}.part"
        try:
            # One thread at a time: what another is writing is no old key.
            with self._lock:
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

    def _forget_old_keys(self) -> None:
        now = time.time()
        if now - self._swept_at < KEYS_LAST_S / 100:
            return
        self._swept_at = now
        for entry in os.scandir(self._folder):
            if now - entry.stat().st_mtime > KEYS_LAST_S:
                os.unlink(entry)
