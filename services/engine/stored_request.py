"""The request of a dataset, read from beside its shards: it travels to a worker once, not with each shard's task."""

import threading
from collections import OrderedDict
from typing import Any

from services.catalogue import arm_of
from services.synthesis import GENERATOR_VERSION
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from shared.errors import GeneratorVersionError
from shared.motions_file import motions_of
from shared.summary_file import stored_summary

_KEPT = 16
"""Requests that a worker keeps, those used last; as many jobs take turns at most."""

_lock = threading.Lock()
_kept: OrderedDict[str, TrajectoryRequest] = OrderedDict()


def kept_request_of(dataset: Dataset) -> TrajectoryRequest:
    """As `request_of`, but read once in this process: a dataset's id is that of its request."""
    name = dataset.header.dataset_id
    with _lock:
        request = _kept.pop(name, None) or request_of(dataset)
        _kept[name] = request
        if len(_kept) > _KEPT:
            _kept.popitem(last=False)
        return request


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
    if header.generator_version != GENERATOR_VERSION:
        raise GeneratorVersionError(
            f"was begun by generator_version {header.generator_version}, this release is {GENERATOR_VERSION}; "
            "finish it with the release that began it, or submit the request anew",
            header.dataset_id[:12],
        )
    body: dict[str, Any] = {key: value for key, value in header.request.items() if key != "generator_version"}
    summary = stored_summary(dataset)
    if summary is not None:
        body["workspace"] = {**body["workspace"], "summary": summary}
    arm = arm_of(body["robot"]["name"], dataset.storage)
    motions = motions_of(dataset)
    request = TrajectoryRequest.parse({**body, "robot": arm.name}, lambda _: arm, lambda _: motions)
    if request.dataset_id != header.dataset_id:
        raise GeneratorVersionError(
            f"was begun with another description of robot {request.robot!r}; "
            "finish it with the release that began it, or submit the request anew",
            header.dataset_id[:12],
        )
    return request
