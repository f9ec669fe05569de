"""The jobs that are on disk: one for each dataset of a root."""

import json
import logging
import re
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

import pyarrow as pa

from services.jobs.dataset_root import DatasetRoot
from services.jobs.job import STATE_ON_DISK, Job
from services.jobs.progress import Tally
from shared.dataset import Dataset
from shared.errors import DatasetError

_log = logging.getLogger(__name__)
_SIDE_BY_SIDE = 16
_PRIORITY = "priority.json"
_ID = re.compile(r"[0-9a-f]{64}")


def stored_jobs(root: DatasetRoot, forgotten: AbstractSet[str] = frozenset()) -> list[Job]:
    """The job of every dataset but those forgotten; damaged ones are left out and said in the log.

    Raises OSError, DatasetError.
    """
    names = [name for name in root.names() if _ID.fullmatch(name) and name not in forgotten]
    # Side by side: each waits for a few small files.
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        return [job for job in pool.map(partial(_stored_or_left_out, root), names) if job is not None]


def _stored_or_left_out(root: DatasetRoot, name: str) -> Job | None:
    try:
        job = stored_job(root, name)
    except (DatasetError, OSError) as error:
        _log.warning("left out: %s", error)
        return None
    if job.id != name:
        _log.warning("left out: %s is dataset %s, so that is what its folder must be called", name, job.id)
        return None
    return job


def stored_job(root: DatasetRoot, job_id: str) -> Job:
    """The job of a dataset, as it is on disk. Raises DatasetError, OSError."""
    dataset = Dataset(root.where(job_id))
    manifest, commits = dataset.manifest(), dataset.commits()
    begun = dataset.header.created_at
    return Job(
        id=dataset.header.dataset_id,
        dataset=dataset,
        created_at=datetime.fromisoformat(begun) if begun else root.begun_at(job_id),
        state=STATE_ON_DISK[manifest.state],
        reason=manifest.reason,
        # Of a job that has ended they are in its manifest; of one that has not, every commit is read.
        tally=Tally(dataset.header, manifest.totals or commits.totals(), commits.indices),
        priority=_stored_priority(dataset) if manifest.state == "growing" else 0,
    )


def store_priority(dataset: Dataset, priority: int) -> None:
    """Keeps a job's priority beside its dataset, for a service that is started again. Raises OSError, DatasetError."""
    dataset.storage.replace(_PRIORITY, pa.py_buffer(json.dumps(priority).encode()))


def _stored_priority(dataset: Dataset) -> int:
    content = dataset.storage.read(_PRIORITY)
    try:
        return int(json.loads(content.to_pybytes())) if content is not None else 0
    except (ValueError, TypeError):
        return 0
