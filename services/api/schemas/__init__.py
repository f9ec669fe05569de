"""What the API answers, as its OpenAPI document says it: models of bodies, by what they are about."""

from services.api.schemas.coverage import CoverageBody
from services.api.schemas.jobs import JobBody, JobPage
from services.api.schemas.motions import MotionsBody, MotionsListBody
from services.api.schemas.problems import Problem
from services.api.schemas.robots import RobotBody, RobotsBody
from services.api.schemas.service import HealthBody, VersionBody
from services.api.schemas.shards import ManifestBody, ShardBody, ShardPage
from services.api.schemas.trajectories import CopyBody, PreviewBody, TrajectoryBody

__all__ = [
    "CopyBody",
    "CoverageBody",
    "HealthBody",
    "JobBody",
    "JobPage",
    "ManifestBody",
    "MotionsBody",
    "MotionsListBody",
    "PreviewBody",
    "Problem",
    "RobotBody",
    "RobotsBody",
    "ShardBody",
    "ShardPage",
    "TrajectoryBody",
    "VersionBody",
]
