"""The jobs that are on disk: one for each dataset of a place."""

import logging
import re

from services.jobs.job import STATE_ON_DISK, Job
from services.jobs.place import Place
from services.jobs.progress import Tally
from shared.dataset import Dataset
from shared.errors import DatasetError

_log = logging.getLogger(__name__)
_ID = re.compile(r"[0-9a-f]{64}")


def stored_jobs(place: Place) -> list[Job]:
    """The job of every dataset; damaged ones are left out and said in the log. Raises OSError, DatasetError."""
    found = []
    for name in place.names():
        try:
            if _ID.fullmatch(name):
                found.append(stored_job(place, name))
        except (DatasetError, OSError) as error:
            _log.warning("left out: %s", error)
    return found


def stored_job(place: Place, job_id: str) -> Job:
    """The job of a dataset, as it is on disk. Raises DatasetError, OSError."""
    # One object to count with, which remembers every commit it reads, and one to keep.
    state = Dataset(place.where(job_id)).state()
    dataset = Dataset(place.where(job_id))
    return Job(
        id=dataset.header.dataset_id,
        dataset=dataset,
        created_at=place.begun_at(job_id),
        state=STATE_ON_DISK[state.state],
        reason=state.reason,
        tally=Tally(dataset.header, state.commits),
    )
