"""What the API answers, as its OpenAPI document says it."""

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from services.catalogue import Arm
from services.catalogue.own_files import OwnFiles
from services.jobs import Job, JobState
from services.synthesis.arm.robot_model import robot_model
from shared.demonstrated_motions import DemonstratedMotions
from shared.manifest import Commit, State

_PARTS = ("manifest", "shards", "stream", "events", "coverage")


def schema_components(model: type[BaseModel]) -> dict[str, Any]:
    """A model's schema and those it refers to, as components of an OpenAPI document."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), model.__name__: schema}


class ProblemItem(BaseModel):
    """One thing that is wrong."""

    pointer: str = Field(description="JSON pointer into the request's body, or /query/name, /path/name, /header/name")
    detail: str


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemItem]


class ProgressBody(BaseModel):
    """How far a job is."""

    count: int = Field(description="trajectories wanted")
    accepted: int = Field(description="trajectories committed")
    attempts: int = Field(description="candidates tried for them")
    rejections: dict[str, int] = Field(description="candidates that failed, by reason")
    shards: int
    shards_committed: int
    bytes: int
    rows_per_s: float | None
    remaining_s: float | None


class JobBody(BaseModel):
    """A job."""

    id: str = Field(description="sha256 of the resolved request; also the dataset's id")
    state: JobState
    reason: str = Field(description="why it failed, or empty")
    priority: int = Field(description="shards of jobs with a higher one are made first")
    created_at: str
    request: dict[str, Any] = Field(description="the resolved request")
    progress: ProgressBody
    links: dict[str, str]

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

    jobs: list[JobBody]
    next_cursor: str | None = Field(description="give it as `cursor` for the next page; null on the last one")


class ManifestBody(BaseModel):
    """A page of a dataset's manifest."""

    header: dict[str, Any] = Field(description="dataset.json")
    state: State
    reason: str
    commits: list[dict[str, Any]] = Field(description="of shards beyond `after`, in index order")
    more: bool = Field(description="whether there are commits beyond this page")


class ShardBody(BaseModel):
    """A committed shard."""

    index: int
    rows: int
    bytes: int
    file_sha256: str
    content_sha256: str
    url: str

    @classmethod
    def of(cls, job: Job, commit: Commit) -> "ShardBody":
        """The body of a commit."""
        return cls(
            index=commit.index,
            rows=commit.rows,
            bytes=commit.bytes,
            file_sha256=commit.file_sha256,
            content_sha256=commit.content_sha256,
            url=f"/v1/jobs/{job.id}/shards/{commit.index}",
        )


class ShardPage(BaseModel):
    """Committed shards in index order."""

    shards: list[ShardBody]
    more: bool = Field(description="whether there are shards beyond this page")


class StatisticsBody(BaseModel):
    """Statistics of a column, for each of its components."""

    count: int
    mean: list[float]
    std: list[float]
    min: list[float]
    max: list[float]


class Histogram(BaseModel):
    """Counts between one edge and the next."""

    edges: list[float]
    counts: list[int]


class JointHistogram(Histogram):
    """Between the joint's limits."""

    joint: str


class PlaneHistogram(BaseModel):
    """Counts in cells of two axes, the first axis's cells outside."""

    axes: str
    edges: list[list[float]]
    counts: list[list[int]]


class HistogramsBody(BaseModel):
    """Of the sampled rows, at every time step."""

    joint_position: list[JointHistogram] = Field(description="rad or m")
    joint_velocity: list[JointHistogram] = Field(description="rad/s or m/s")
    ee_position: list[PlaneHistogram] = Field(description="the tool centre point from three sides [m], base frame")
    tool_axis: PlaneHistogram = Field(description="direction of the tool's z axis in the base frame, equal areas")
    duration: Histogram = Field(description="s, a count for each row")
    family: dict[str, int] = Field(description="rows")


class CoverageBody(BaseModel):
    """What a dataset covers."""

    shards: int = Field(description="committed when this was worked out")
    statistics: dict[str, StatisticsBody] = Field(description="of every row")
    sampled_rows: int
    histograms: HistogramsBody


class TrajectoryBody(BaseModel):
    """One trajectory; arrays have a row for each sample. Values are rounded to 1e-7."""

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


class ObjectPosesBody(BaseModel):
    """Where an object is, in the base frame."""

    position: list[list[float]] = Field(description="m")
    rotation_6d: list[list[float]] = Field(description="first two rows of its rotation matrix")


class SegmentBody(BaseModel):
    """Consecutive steps of a demonstration."""

    kind: Literal["free", "fixed", "object"] = Field(
        description="free, relative to the robot's base as a place that never moves, or relative to an object"
    )
    object: str | None = Field(description="name of that object")


class DemonstrationBody(BaseModel):
    """A demonstration."""

    name: str
    segments: list[SegmentBody]


class CopyBody(TrajectoryBody):
    """One trajectory of a dataset of copies."""

    source: int = Field(description="the demonstration that it is a copy of, by its place in the motions file")
    demonstration: DemonstrationBody = Field(description="that demonstration")
    source_time: list[float] = Field(description="which of its steps a sample is at, as a number with a fraction")
    segment: list[int] = Field(description="which of its segments a sample is in")
    objects: dict[str, ObjectPosesBody] = Field(description="where each object is, by its name")


class PreviewBody(BaseModel):
    """Trajectories made at once and kept nowhere."""

    robot: dict[str, Any]
    attempts: int
    rejections: dict[str, int]
    trajectories: list[CopyBody | TrajectoryBody]


class RobotBody(BaseModel):
    """A robot, the catalogue's or an uploaded one."""

    name: str = Field(description="what requests call it")
    title: str
    uploaded: bool
    joint_names: list[str]
    limits: dict[str, list[float]] = Field(description="of each joint, in rad or m and seconds")
    base_frame: str
    tool_frame: str
    limits_source: str = Field(description="where its acceleration and jerk limits come from")
    home: list[float]
    rest: dict[str, float] = Field(description="positions of joints off the arm, which are held; 0 where not named")
    notes: list[str] = Field(description="what to know of how it was read")
    sha256: str = Field(description="of everything that shapes its trajectories")
    links: dict[str, str]

    @classmethod
    def of(cls, arm: Arm) -> "RobotBody":
        """The body of an arm. Raises RobotError."""
        path = f"/v1/robots/{arm.name}"
        said: dict[str, Any] = {name: getattr(arm, name) for name in ("title", "limits_source", "home", "notes")}
        said |= {"rest": dict(arm.rest), "uploaded": isinstance(arm.files, OwnFiles), "sha256": arm.content_hash}
        links = {"self": path, **{name: f"{path}/{name}" for name in ("urdf", "mesh")}}
        return cls(**robot_model(arm).spec.to_json(), **said, links=links)


class RobotsBody(BaseModel):
    """The robots of the catalogue, then those uploaded."""

    robots: list[RobotBody]


class HealthBody(BaseModel):
    """The service answers."""

    status: Literal["ok"] = "ok"


class VersionBody(BaseModel):
    """Versions of the service and of what shapes its datasets' bytes."""

    version: str
    generator_version: int
    schema_version: str
    libraries: dict[str, str]


class SpanBody(BaseModel):
    """Where an object lay when the demonstrations began, in the base frame."""

    min: list[float] = Field(description="least x, y and z [m]")
    max: list[float] = Field(description="greatest")


class MotionsBody(BaseModel):
    """The motions of demonstrations."""

    sha256: str = Field(description="of the content; what requests name them by")
    task: str
    robot: str = Field(description="that made them")
    rate_hz: float
    motions: int = Field(description="demonstrations")
    objects: list[str] = Field(description="what the task is about")
    spans: dict[str, SpanBody] = Field(description="where they lay at the start, by their names")
    links: dict[str, str]

    @classmethod
    def of(cls, motions: DemonstratedMotions) -> "MotionsBody":
        """Describes motions."""
        return cls(
            sha256=motions.content_sha256,
            task=motions.task,
            robot=motions.robot,
            rate_hz=motions.rate_hz,
            motions=len(motions.motions),
            objects=[thing.name for thing in motions.objects],
            spans={thing.name: _span(motions, index) for index, thing in enumerate(motions.objects)},
            links={"self": f"/v1/motions/{motions.content_sha256}"},
        )


def _span(motions: DemonstratedMotions, index: int) -> SpanBody:
    begun = np.array([motion.objects[index].position[0] for motion in motions.motions])
    low, high = (np.round(corner, 7).tolist() for corner in (begun.min(0), begun.max(0)))
    return SpanBody(min=low, max=high)


class MotionsListBody(BaseModel):
    """The motions files that were uploaded."""

    motions: list[MotionsBody]
