"""A job as the service speaks of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from services.jobs.progress import Progress, Tally
from shared.dataset import Dataset
from shared.manifest import State

JobState = Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled"]
JOB_STATES: tuple[JobState, ...] = get_args(JobState)
STATE_ON_DISK: dict[State, JobState] = {
    "growing": "queued",
    "sealed": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
}
_DATASET_STATE: dict[JobState, State] = {
    "queued": "growing",
    "running": "growing",
    "cancelling": "cancelled",
    "succeeded": "sealed",
    "failed": "failed",
    "cancelled": "cancelled",
}


@dataclass
class Job:
    """A job: a dataset, and what the service is doing about it.

    Attributes:
        id: the dataset's id.
        dataset: its dataset, which is all of it that lasts.
        created_at: when it was first submitted.
        state: of the job.
        reason: why it failed, or "".
        tally: how far it is.
        priority: shards of jobs with a higher one are made first.
    """

    id: str
    dataset: Dataset
    created_at: datetime
    state: JobState
    reason: str
    tally: Tally
    priority: int = 0

    @property
    def progress(self) -> Progress:
        """How far it is, in numbers."""
        return self.tally.progress

    @property
    def is_active(self) -> bool:
        """Whether the service will do, or does, something for it."""
        return self.state in ("queued", "running", "cancelling")

    @property
    def dataset_state(self) -> State:
        """What those who follow its dataset are to know."""
        return _DATASET_STATE[self.state]
