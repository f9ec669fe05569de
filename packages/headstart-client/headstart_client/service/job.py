"""What the service says of a job: the shapes of its JSON, as its OpenAPI document has them."""

from dataclasses import dataclass
from typing import Any, Literal, TypedDict

JobState = Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled"]
LAST_STATES: tuple[JobState, ...] = ("succeeded", "failed", "cancelled")
"""Those of a job that has ended."""


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
    priority: int
    created_at: str
    request: dict[str, Any]
    progress: JobProgress
    links: dict[str, str]


class Shard(TypedDict):
    """A committed shard: its rows, size, hashes, and the path it is fetched from."""

    index: int
    rows: int
    bytes: int
    file_sha256: str
    content_sha256: str
    url: str


class ShardPage(TypedDict):
    """Committed shards in index order; `more` says whether there are others beyond them."""

    shards: list[Shard]
    more: bool


class Trajectory(TypedDict):
    """One row; lists have an item for each sample."""

    trajectory_id: int
    family: str
    attempts: int
    length: int
    duration: float
    rate_hz: float
    joint_position: list[list[float]]
    joint_velocity: list[list[float]]
    ee_position: list[list[float]]
    ee_rotation_6d: list[list[float]]
    gripper: list[float]


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
