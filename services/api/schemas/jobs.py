"""Bodies of jobs."""

from typing import Any

from pydantic import BaseModel

from services.api.schemas.fields import field
from services.jobs import Job, JobState

_PARTS = ("manifest", "shards", "stream", "events", "coverage")
_ID = "ddb63e148085beb81746ac52d9b8bb749329bde8672c03ebb72a0879519c4807"
_PROGRESS = {
    "count": 2000,
    "accepted": 500,
    "attempts": 620,
    "rejections": {"self_collision": 120},
    "shards": 4,
    "shards_committed": 1,
    "bytes": 3_100_000,
    "rows_per_s": 1480.5,
    "remaining_s": 1.0,
}


class ProgressBody(BaseModel):
    """How far a job is."""

    count: int = field("trajectories wanted", 2000, "count")
    accepted: int = field("trajectories committed", 500, "count")
    attempts: int = field("candidates tried for them", 620, "count")
    rejections: dict[str, int] = field("candidates that failed, by reason", {"self_collision": 120}, "count")
    shards: int = field("shards of the whole dataset", 4, "count")
    shards_committed: int = field("shards that can be read", 1, "count")
    bytes: int = field("size of their files", 3_100_000, "bytes")
    rows_per_s: float | None = field(
        "trajectories a second, since the job was begun or gone on with; null before the first", 1480.5, "1/s"
    )
    remaining_s: float | None = field("time until it is done at that rate; null while it is unknown", 1.0, "s")


class JobBody(BaseModel):
    """A job."""

    id: str = field("sha256 of the resolved request; also the dataset's id", _ID)
    state: JobState = field(
        "what the service does about it; succeeded, failed and cancelled are ends, until it is submitted again",
        "running",
    )
    reason: str = field("why it failed, or empty", "")
    priority: int = field("shards of jobs with a higher one are made first", 0, "1")
    created_at: str = field("when it was first submitted (ISO 8601, UTC)", "2026-11-30T11:38:06.641474+00:00")
    request: dict[str, Any] = field(
        "the resolved request: without the keys that have their defaults, the robot by content",
        {"robot": {"name": "panda", "sha256": _ID}, "count": 2000, "shard_rows": 500, "generator_version": 3},
        "mixed",
    )
    progress: ProgressBody = field("how far it is", _PROGRESS, "mixed")
    links: dict[str, str] = field(
        "paths of the job and its parts on this service",
        {"self": f"/v1/jobs/{_ID}", "manifest": f"/v1/jobs/{_ID}/manifest"},
    )

    @classmethod
    def of(cls, job: Job) -> "JobBody":
        """The body of a job."""
        path = f"/v1/jobs/{job.id}"
        return cls(
            id=job.id,
            state=job.state,
            reason=job.reason,
            priority=job.priority,
            created_at=job.created_at.isoformat(),
            request=job.dataset.header.request,
            progress=ProgressBody(**vars(job.progress)),
            links={"self": path, **{name: f"{path}/{name}" for name in _PARTS}},
        )


class JobPage(BaseModel):
    """Some jobs, the newest first."""

    jobs: list[JobBody] = field("the jobs of this page; see JobBody", [], "mixed")
    next_cursor: str | None = field(
        "give it as `cursor` for the next page; null on the last one", "MjAyNi0xMS0zMFQxMTozODowNnw0ODA3"
    )
