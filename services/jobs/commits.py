"""A job's commits as its readers ask for them: read from its dataset when they do, and only the last ones kept."""

import functools
import json
from dataclasses import asdict

from services.jobs.errors import UnknownShardError
from services.jobs.job import Job
from shared.dataset import Dataset
from shared.manifest import Commit

_KEPT = 4096
"""Of all jobs together; some 3 kB each."""


def commit_text(job: Job, index: int) -> bytes:
    """A commit's JSON. Raises UnknownShardError while there is none."""
    return _text(job.dataset, index)


def commit_of(job: Job, index: int) -> Commit:
    """A commit. Raises UnknownShardError while there is none."""
    return Commit.from_json(json.loads(_text(job.dataset, index)), job.id)


@functools.lru_cache(_KEPT)
def _text(dataset: Dataset, index: int) -> bytes:
    commit = dataset.read_commit(index)
    if commit is None:
        raise UnknownShardError(f"shard {index} is not committed (yet); GET the manifest to see which are")
    return json.dumps(asdict(commit)).encode()
