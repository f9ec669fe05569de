"""The header of a request's dataset."""

import importlib.metadata
import platform

from services.synthesis import GENERATOR_VERSION
from services.synthesis.pipeline import robot_spec
from services.synthesis.ranges import action_range
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.manifest import DatasetHeader

_LIBRARIES = ("pin", "coal", "ruckig", "numba", "numpy", "pyarrow")


def library_versions() -> dict[str, str]:
    """Versions of what shapes a dataset's bytes."""
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {**versions, "python": platform.python_version(), "platform": platform.platform()}


def dataset_header(request: TrajectoryRequest) -> DatasetHeader:
    """dataset.json of a request."""
    return DatasetHeader(
        dataset_id=request.dataset_id,
        request=request.resolved(),
        generator_version=GENERATOR_VERSION,
        robot=robot_spec(request),
        count=request.count,
        shard_rows=request.shard_rows,
        rate_hz=request.rate_hz,
        optional_columns=request.optional_columns,
        action_range=action_range(request),
        versions=library_versions(),
    )
