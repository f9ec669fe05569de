"""What the service says of a job: the shapes of its JSON, as its OpenAPI document has them."""

from dataclasses import dataclass
from typing import Any, Literal, TypedDict

JobState = Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled"]


class JobProgress(TypedDict):
    """How far a job is: trajectories wanted and committed, candidates tried, rejections by reason, shards, bytes."""

    count: int
    accepted: int
    attempts: int
    rejections: dict[str, int]
    shards: int
    shards_committed: int
    bytes: int
    rows_per_s: float | None
    remaining_s: float | None


class Job(TypedDict):
    """A job. Its id is its dataset's id; `reason` says why it failed, and is empty otherwise."""

    id: str
    state: JobState
    reason: str
    created_at: str
    request: dict[str, Any]
    progress: JobProgress
    links: dict[str, str]


@dataclass(frozen=True)
class Event:
    """Something that happened to a job.

    Attributes:
        id: what to go on after.
        kind: `state`, `commit` or `progress`.
        data: the state and its reason, the shard that was committed, or a JobProgress.
    """

    id: str
    kind: str
    data: dict[str, Any]
