"""A job's life: its dataset begun, its shards planned and made, resumed from what is on disk, sealed."""

from services.jobs.claim import claimed
from services.jobs.commit_cache import commit_of, commits_of
from services.jobs.dataset_root import open_dataset_root
from services.jobs.errors import (
    IdempotencyError,
    JobError,
    JobStateError,
    QueueFullError,
    StorageError,
    UnknownJobError,
    UnknownShardError,
)
from services.jobs.generation import begin, generate, make_dataset
from services.jobs.header import library_versions
from services.jobs.job import JOB_STATES, Job, JobState
from services.jobs.progress import Progress, Tally
from services.jobs.queue import JobQueue

__all__ = [
    "JOB_STATES",
    "IdempotencyError",
    "Job",
    "JobError",
    "JobQueue",
    "JobState",
    "JobStateError",
    "Progress",
    "QueueFullError",
    "StorageError",
    "Tally",
    "UnknownJobError",
    "UnknownShardError",
    "begin",
    "claimed",
    "commit_of",
    "commits_of",
    "generate",
    "library_versions",
    "make_dataset",
    "open_dataset_root",
]
