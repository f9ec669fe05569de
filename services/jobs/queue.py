"""The service's jobs: several are made at once, whose shards take turns, and the others wait.

What lasts is on disk (each job's dataset directory under one data folder, and idempotency keys); this object is
rebuilt from it. A job whose dataset is still growing when the service starts is taken up again.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from services.engine import Engine
from services.jobs.dataset_root import open_dataset_root
from services.jobs.errors import JobStateError, QueueFullError, StorageError, UnknownJobError
from services.jobs.forgotten import ForgottenJobs
from services.jobs.generation import begin
from services.jobs.job import Job
from services.jobs.job_locks import JobLocks
from services.jobs.job_runner import JobRunner
from services.jobs.keys import IdempotencyKeys
from services.jobs.progress import bytes_wanted
from services.jobs.store import store_priority, stored_job, stored_jobs
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.errors import DatasetError, EngineError
from shared.manifest import Commit
from shared.storage import Location

_log = logging.getLogger(__name__)
_ENGINE_RETRY_S = 10.0
_FAREWELL_S = 10.0


class JobQueue:
    """The jobs of one data folder. Every method may be called from any thread.

    Which jobs there are and which wait is changed under one lock, held for moments. What is stored of a job, and how
    it ends, is changed in its turn, for as long as the storage takes. Who has a turn may take the lock, not the other
    way round.
    """

    def __init__(
        self,
        data: Location,
        engine: Engine,
        *,
        state: Path | None = None,
        max_queued: int = 100,
        max_running: int = 16,
        min_free_bytes: int = 0,
        on_commit: Callable[[Commit], None] = lambda commit: None,
    ) -> None:
        """Reads what is on disk; `start` begins to work on it.

        Args:
            data: folder or URI of the datasets, each below it under its id; a folder is made if missing.
            engine: that makes the shards.
            state: folder of the idempotency keys, and of which jobs are forgotten; by default the data folder.
            max_queued: jobs that may wait.
            max_running: jobs that are made at once.
            min_free_bytes: disk space that no job is to use up.
            on_commit: called for each shard that this queue makes, in its own thread.

        Raises:
            OSError, DatasetError: the data can't be reached, or the folder not be made.
        """
        self.engine = engine
        self._engine_problem = "starting"
        self._root = open_dataset_root(data, min_free_bytes)
        self._keys = IdempotencyKeys(Path(state or data) / ".idempotency")
        self._locks = JobLocks()
        self._runner = JobRunner(engine, self._root, self._locks, on_commit)
        self._max_queued, self._max_running = max_queued, max_running
        self._makers: set[threading.Thread] = set()
        self._forgotten = ForgottenJobs(Path(state or data) / ".forgotten")
        self._jobs = {job.id: job for job in stored_jobs(self._root, self._forgotten.ids())}
        waiting = sorted((job for job in self._jobs.values() if job.state == "queued"), key=lambda job: job.created_at)
        self._waiting = [job.id for job in waiting]
        self._beginning: set[str] = set()
        self._changed = threading.Condition()
        self._stopping = False
        # Not a daemon: its end is waited for, so that workers are never orphaned.
        self._thread = threading.Thread(target=self._work, name="headstart-jobs")

    def start(self) -> None:
        """Starts the engine and works through the queue, in a thread of its own."""
        self._thread.start()

    def begin_to_stop(self) -> None:
        """Has the jobs that run stop where they are; does not wait for it."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Stops within seconds. The jobs that run stay as they are on disk, to be resumed."""
        self.begin_to_stop()
        self._thread.join(_FAREWELL_S)

    def submit(
        self, request: TrajectoryRequest, idempotency_key: str | None = None, priority: int | None = None
    ) -> tuple[Job, bool]:
        """Queues a request's job, unless it is known: then that job, put back in the queue if it failed.

        Args:
            request: what to make.
            idempotency_key: of the caller's.
            priority: shards of jobs with a higher one are made first; None is 0, or what a known job has.

        Returns:
            The job, and whether it is active: False if its dataset is complete.

        Raises:
            IdempotencyError, QueueFullError, StorageError, JobStateError (it is being cancelled, or deleted).
        """
        with ExitStack() as stack:
            stack.enter_context(self._locks.of(request.dataset_id))
            known = self._jobs.get(request.dataset_id)
            if known is not None and known.state == "cancelling":
                raise JobStateError("this job is being cancelled; submit it again in a few seconds")
            begins = known is None or known.state in ("failed", "cancelled")
            if begins:
                stack.enter_context(self._room(request, known))
            if idempotency_key:
                self._keys.remember(idempotency_key, request.dataset_id)
            job = self._enqueue(request, priority) if known is None or begins else known
            if priority is not None and job.is_active and job.priority != priority:
                self._prefer(job, priority)
            return job, job.is_active

    def job(self, job_id: str) -> Job:
        """The job called `job_id`. Raises UnknownJobError."""
        try:
            return self._jobs[job_id]
        except KeyError:
            raise UnknownJobError(f"there is no job {job_id[:12]}...; GET /v1/jobs lists those there are") from None

    def __contains__(self, job_id: object) -> bool:
        """Whether there is such a job; one that is being deleted is none any more."""
        return job_id in self._jobs

    def jobs(self) -> list[Job]:
        """Every job, the newest first."""
        # A copy, made at once: others come and go meanwhile.
        jobs = list(self._jobs.values())
        return sorted(jobs, key=lambda job: (job.created_at, job.id), reverse=True)

    def cancel(self, job_id: str) -> Job:
        """Cancels a job; shards already committed stay.

        Raises:
            UnknownJobError, JobStateError (it has ended).
            StorageError: it is stopped, but that can't be stored. Cancelling it once more tries again.
        """
        with self._locks.of(job_id):
            with self._changed:
                job = self.job(job_id)
                if job.state in ("succeeded", "failed"):
                    raise JobStateError(f"this job has {job.state} already; there is nothing to cancel")
                waited = job.state == "queued"
                if waited:
                    self._waiting.remove(job_id)
                if job.is_active:
                    # Before it is stored: it stops at once, however long that takes. It is `cancelled` only after that.
                    job.state = "cancelling"
            try:
                # So that a service started anew does not take the job up again.
                job.dataset.set_state("cancelled")
            except (OSError, DatasetError) as error:
                why = error.strerror or error if isinstance(error, OSError) else error
                raise StorageError(
                    f"the job is stopped, but that can't be stored: {why}; mend that and cancel it again, or it goes "
                    "on when the service is started the next time"
                ) from error
            finally:
                if waited:
                    job.state = "cancelled"
            return job

    def delete(self, job_id: str) -> None:
        """Deletes a job that has ended, and its data. Raises UnknownJobError, JobStateError, StorageError."""
        with self._locks.of(job_id, deletes=True):
            with self._changed:
                job = self.job(job_id)
                if job.is_active:
                    raise JobStateError(f"this job is {job.state}; cancel it, and delete it once it has ended")
                del self._jobs[job_id]
            try:
                free_room = self._root.remove(job_id)
            except StorageError as error:
                self._jobs[job_id] = self._what_is_left(job, error)
                raise
        free_room()

    def forget(self, count: int) -> bool:
        """Forgets the oldest jobs that have ended, but not their data; False if there are fewer. Raises StorageError.

        Submitting a forgotten job's request makes it a job again, as it is on disk.
        """
        ended = [job for job in reversed(self.jobs()) if not job.is_active][:count]
        for job in ended:
            with self._locks.of(job.id):
                # Looked at again: it may have been submitted meanwhile, or deleted.
                if self._jobs.get(job.id) is job and not job.is_active:
                    self._forgotten.add(job.id)
                    del self._jobs[job.id]
        return len(ended) == count

    @property
    def engine_problem(self) -> str:
        """Why no shard can be made now, or ""."""
        return self._engine_problem or self.engine.problem

    def storage_problem(self) -> str:
        """Why the data folder takes no new dataset, or ""."""
        return self._root.problem()

    @contextmanager
    def _room(self, request: TrajectoryRequest, known: Job | None) -> Iterator[None]:
        """Keeps a place in the queue for a job while it is begun. Raises QueueFullError, StorageError."""
        with self._changed:
            waiting = len({*self._waiting, *self._beginning})
            if waiting >= self._max_queued:
                raise QueueFullError(f"{waiting} jobs are waiting already; submit again when some are done")
            self._beginning.add(request.dataset_id)
        try:
            problem = self._root.problem(bytes_wanted(request, known.progress if known else None))
            if problem:
                raise StorageError(f"{problem}; free some space or choose another data folder")
            yield
        finally:
            with self._changed:
                self._beginning.remove(request.dataset_id)

    def _enqueue(self, request: TrajectoryRequest, priority: int | None) -> Job:
        try:
            dataset = begin(request, self._root.where(request.dataset_id))
            if priority is not None:
                store_priority(dataset, priority)
            job = stored_job(self._root, request.dataset_id)
            self._forgotten.remove(job.id)
        except OSError as error:
            raise StorageError(f"the dataset can't be begun: {error.strerror}; see the data folder") from error
        with self._changed:
            self._jobs[job.id] = job
            if job.is_active:
                self._waiting.append(job.id)
            self._changed.notify_all()
        return job

    def _prefer(self, job: Job, priority: int) -> None:
        """Changes a job's priority."""
        try:
            store_priority(job.dataset, priority)
        except OSError as error:
            raise StorageError(f"the priority can't be stored: {error.strerror}; see the data folder") from error
        job.priority = priority

    def _what_is_left(self, job: Job, error: StorageError) -> Job:
        """The job of a dataset that could not be deleted, some of which may be gone."""
        try:
            return stored_job(self._root, job.id)
        except (OSError, DatasetError):
            job.reason, job.state = str(error), "failed"
            return job

    def _work(self) -> None:
        try:
            # Again before every job: one that lost its engine has closed it.
            while self._start_engine():
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._stopping or (self._waiting and len(self._makers) < self._max_running)
                    )
                    if self._stopping:
                        return
                    job = self._jobs[self._waiting.pop(self._next_place())]
                    job.state = "running"
                    maker = threading.Thread(target=self._make, args=(job,), name=f"headstart-job-{job.id[:8]}")
                    self._makers.add(maker)
                maker.start()
        finally:
            # Before the jobs have ended too: what they have in the making ends with the engine, and in its time.
            self.engine.close()
            for maker in list(self._makers):
                maker.join()
            self._engine_problem = "no job is made any more; start the service again"
            self.engine.close()

    def _next_place(self) -> int:
        """Where in the queue the next job is: the first of the highest priority."""
        return max(range(len(self._waiting)), key=lambda place: (self._jobs[self._waiting[place]].priority, -place))

    def _make(self, job: Job) -> None:
        """Makes a job, in a thread of its own."""
        try:
            self._runner.make(job, lambda: self._stopping)
        finally:
            with self._changed:
                self._makers.remove(threading.current_thread())
                self._changed.notify_all()

    def _start_engine(self) -> bool:
        """Starts the engine, again and again until it works; False if stopped before."""
        while True:
            try:
                self.engine.start(lambda: self._stopping)
                self._engine_problem = ""
                return True
            except (EngineError, OSError) as error:
                self._engine_problem = str(error)
                _log.error("%s; trying again in %.0f s", error, _ENGINE_RETRY_S)
            with self._changed:
                if self._changed.wait_for(lambda: self._stopping, _ENGINE_RETRY_S):
                    return False
