"""The header of a request's dataset."""

import importlib.metadata
import platform
from typing import Any

from services.catalogue import arm_of
from services.synthesis import GENERATOR_VERSION
from services.synthesis.pipeline import robot_spec
from services.synthesis.ranges import action_range
from services.synthesis.request import TrajectoryRequest
from shared.dataset import Dataset
from shared.errors import GeneratorVersionError
from shared.manifest import DatasetHeader
from shared.motions_file import motions_of
from shared.summary_file import stored_summary

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


def request_of(dataset: Dataset) -> TrajectoryRequest:
    """The request whose dataset this is. A user's robot is read from beside it, and so are demonstrations.

    Raises:
        RobotError: its robot is neither in the catalogue nor beside it.
        DatasetFormatError: the summary of the demonstrations that it is fitted to is missing, or another one; or the
            motions that it has copies of.
        GeneratorVersionError: this release would make other rows for it.
        RequestError: this release does not know such requests.
    """
    header = dataset.header
    body: dict[str, Any] = {key: value for key, value in header.request.items() if key != "generator_version"}
    summary = stored_summary(dataset)
    if summary is not None:
        body["workspace"] = {**body["workspace"], "summary": summary}
    arm = arm_of(body["robot"]["name"], dataset.storage)
    motions = motions_of(dataset)
    request = TrajectoryRequest.parse({**body, "robot": arm.name}, lambda _: arm, lambda _: motions)
    if header.generator_version != GENERATOR_VERSION:
        raise GeneratorVersionError(
            f"was begun by generator_version {header.generator_version}, this release is {GENERATOR_VERSION}; "
            "finish it with the release that began it, or submit the request anew",
            header.dataset_id[:12],
        )
    if request.dataset_id != header.dataset_id:
        raise GeneratorVersionError(
            f"was begun with another description of robot {request.robot!r}; "
            "finish it with the release that began it, or submit the request anew",
            header.dataset_id[:12],
        )
    return request
