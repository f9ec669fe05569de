"""Commits of a job for its readers: read when they are asked for, and only the last ones kept."""

import functools
from collections.abc import Sequence

from services.jobs.errors import UnknownShardError
from services.jobs.job import Job
from shared.dataset import Dataset
from shared.manifest import Commit

_KEPT = 4096
"""Of all jobs together; some 600 bytes each."""


def commit_of(job: Job, index: int) -> Commit:
    """A commit. Raises UnknownShardError while there is none."""
    return _commit(job.dataset, index)


def commits_of(job: Job, indices: Sequence[int]) -> list[Commit]:
    """Commits that there are, read together. Raises DatasetFormatError."""
    return job.dataset.read_commits(indices)


@functools.lru_cache(_KEPT)
def _commit(dataset: Dataset, index: int) -> Commit:
    commit = dataset.commit(index)
    if commit is None:
        raise UnknownShardError(f"shard {index} is not committed (yet); GET the manifest to see which are")
    return commit
