"""Who may change a job where it is stored, which takes a minute where a store does not answer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from services.jobs.errors import JobStateError


class JobLocks:
    """Gives each job to one thread at a time, while others change other jobs."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken: set[str] = set()
        self._deleted: set[str] = set()

    @contextmanager
    def of(self, job_id: str, deletes: bool = False) -> Iterator[None]:
        """Waits for a job's turn, and has it for the time of a block.

        Args:
            job_id: of the job.
            deletes: the block deletes it, which takes long: until it has, others are turned away.

        Raises:
            JobStateError: it is being deleted.
        """
        with self._changed:
            self._changed.wait_for(lambda: job_id not in self._taken or job_id in self._deleted)
            if job_id in self._deleted:
                raise JobStateError("this job is being deleted; try again in a few seconds")
            self._taken.add(job_id)
            if deletes:
                self._deleted.add(job_id)
        try:
            yield
        finally:
            with self._changed:
                self._taken.discard(job_id)
                self._deleted.discard(job_id)
                self._changed.notify_all()
