"""What makes the jobs that have their turn."""

import contextlib
import logging
from collections.abc import Callable

from services.engine import Engine
from services.engine.stored_request import request_of
from services.jobs.dataset_root import DatasetRoot
from services.jobs.errors import StorageError
from services.jobs.generation import failure_reason, make_dataset
from services.jobs.job import Job
from services.jobs.job_locks import JobLocks
from services.jobs.progress import Tally, bytes_wanted
from shared.dataset import Dataset
from shared.errors import DatasetError, EngineError, HeadstartError
from shared.manifest import Commit

_log = logging.getLogger(__name__)


def _store_sums(dataset: Dataset) -> None:
    """Writes the manifest of a cancelled dataset once more, now that nothing more is committed.

    Where that fails, the sums there are older by a few shards: whether it is cancelled was stored, or told, before.
    """
    with contextlib.suppress(OSError, DatasetError):
        if dataset.manifest().state == "cancelled":
            dataset.set_state("cancelled")


class JobRunner:
    """Makes jobs with an engine, each in the thread that it is told to."""

    def __init__(self, engine: Engine, root: DatasetRoot, locks: JobLocks, on_commit: Callable[[Commit], None]) -> None:
        """Takes what it works with, and what is called for each shard it makes."""
        self._engine, self._root, self._locks, self._on_commit = engine, root, locks, on_commit

    def make(self, job: Job, stops: Callable[[], bool]) -> None:
        """Makes a job until it is done, cancelled, or `stops`. Whatever goes wrong fails this job and no other."""
        try:
            self._make(job, stops)
        except Exception as error:
            with self._locks.of(job.id):
                job.reason, job.state = failure_reason(error), "failed"
            _log.error("job %s failed: %s", job.id[:12], job.reason, exc_info=not isinstance(error, HeadstartError))
            if isinstance(error, EngineError):
                # Whatever is left of its workers; the next job starts them anew.
                self._engine.close()

    def _make(self, job: Job, stops: Callable[[], bool]) -> None:
        def on_progress(tally: Tally, commit: Commit | None) -> None:
            job.tally = tally
            if commit is not None:
                self._on_commit(commit)
                problem = self._root.problem(bytes_wanted(request, tally.progress))
                if problem:
                    raise StorageError(f"{problem}; free some space, then the same request goes on from here")

        # One of its own, gone with this call: it remembers every commit, which need not stay in memory.
        dataset = Dataset(job.dataset.where)
        request = request_of(dataset)
        finished = make_dataset(
            request,
            dataset,
            self._engine,
            on_progress=on_progress,
            should_stop=lambda: stops() or job.state == "cancelling",
            priority=lambda: job.priority,
        )
        # Whoever cancels it has stored that, or was told why not, before this turn comes.
        with self._locks.of(job.id):
            if job.state == "cancelling":
                _store_sums(dataset)
                job.state = "cancelled"
            elif finished:
                dataset.set_state("sealed")
                job.state = "succeeded"
