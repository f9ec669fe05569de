"""Every error a user of Headstart can meet, as one tree.

    HeadstartError
    ├── RequestError              a trajectory request that can't be served as written
    ├── RobotError                an unknown robot, or a description that doesn't describe one
    ├── SynthesisError            a request that turned out impossible: carries the counts
    ├── EngineError               the workers that make shards could not be started, or kept dying
    ├── DatasetError              a dataset directory or one of its files; carries the path
    │   ├── DatasetFormatError        not a dataset, or of another major version
    │   ├── ObjectStoreError          the object store that holds it does not answer, or refuses
    │   ├── CorruptShardError         a shard whose bytes are not those that were committed
    │   ├── CommitConflictError       two different contents for one shard index
    │   ├── GeneratorVersionError     begun by another generator_version, so never resumed
    │   ├── DatasetFailedError        its job failed; carries the reason
    │   ├── DatasetCancelledError     its job was cancelled
    │   └── DatasetStalledError       no commit arrived within max_wait
    ├── ServiceError              the service could not be reached, or answered with a problem
    ├── HubError                  the Hub could not be reached, or has no such repository for this user
    ├── DemonstrationError        a demonstration file that can't be used as asked; carries the path
    ├── SummaryError              a summary of demonstrations that isn't one; carries the place in it
    ├── SimulationError           a task or simulator problem
    ├── TrainingError             training that can't go on, such as a loss that is not finite
    ├── CheckpointError           a checkpoint that is missing, damaged or of another shape
    └── ConfigError               a setting or combination of settings that makes no sense

Messages say what was wrong, where, and what to do. Programs print them as one line and exit with 2.
"""

from collections.abc import Mapping
from pathlib import Path

from headstart_client.errors import (
    CommitConflictError,
    CorruptShardError,
    DatasetCancelledError,
    DatasetError,
    DatasetFailedError,
    DatasetFormatError,
    DatasetStalledError,
    GeneratorVersionError,
    HeadstartError,
    ObjectStoreError,
    ServiceError,
)

__all__ = [
    "CheckpointError",
    "CommitConflictError",
    "ConfigError",
    "CorruptShardError",
    "DatasetCancelledError",
    "DatasetError",
    "DatasetFailedError",
    "DatasetFormatError",
    "DatasetStalledError",
    "DemonstrationError",
    "EngineError",
    "GeneratorVersionError",
    "HeadstartError",
    "HubError",
    "MotionsError",
    "ObjectStoreError",
    "RequestError",
    "RobotError",
    "ServiceError",
    "SimulationError",
    "SummaryError",
    "SynthesisError",
    "TrainingError",
]


class RequestError(HeadstartError):
    """A trajectory request that can't be served as written.

    Attributes:
        problems: one (JSON pointer, message) pair for each thing that is wrong.
    """

    def __init__(self, message: str, problems: list[tuple[str, str]] | None = None) -> None:
        self.problems = problems or []
        lines = [f"{pointer or '/'}: {detail}" for pointer, detail in self.problems]
        super().__init__("; ".join([message, *lines]) if lines else message)


class RobotError(HeadstartError):
    """An unknown robot, or a description that doesn't describe one."""


class SynthesisError(HeadstartError):
    """A request that turned out impossible while it was being made.

    Attributes:
        attempts: candidates tried.
        rejections: how many failed, by reason.
    """

    def __init__(self, message: str, attempts: int = 0, rejections: Mapping[str, int] | None = None) -> None:
        super().__init__(message)
        self.attempts = attempts
        self.rejections = dict(rejections or {})

    def __reduce__(self) -> tuple[type["SynthesisError"], tuple[str, int, dict[str, int]]]:
        # Crosses process boundaries, which rebuild an exception from its arguments.
        return type(self), (str(self), self.attempts, self.rejections)


class EngineError(HeadstartError):
    """The workers that make shards could not be started, or kept dying."""


class HubError(HeadstartError):
    """The Hugging Face Hub could not be reached, or refused; or what lies there is not what was asked for."""


class DemonstrationError(HeadstartError):
    """A demonstration file that can't be used as asked."""

    def __init__(self, message: str, path: Path | str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = str(path)


class SummaryError(HeadstartError):
    """A summary of demonstrations that isn't one, or isn't the one that fits.

    Attributes:
        pointer: JSON pointer to what is wrong in it; "" for the whole.
        detail: what is wrong.
    """

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"summary{pointer}: {detail}" if pointer else f"summary: {detail}")
        self.pointer = pointer
        self.detail = detail

    def __reduce__(self) -> tuple[type["SummaryError"], tuple[str, str]]:
        return type(self), (self.pointer, self.detail)


class MotionsError(HeadstartError):
    """A motions file that isn't one, or says what can't be."""


class SimulationError(HeadstartError):
    """A task that doesn't exist, or a simulator that can't do what was asked."""


class TrainingError(HeadstartError):
    """Training that can't go on: its loss is not finite, or its data can't fill a batch."""


class CheckpointError(HeadstartError):
    """A checkpoint that is missing, damaged, or of another shape than its config says."""

    def __init__(self, message: str, path: Path | str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = str(path)


class ConfigError(HeadstartError):
    """A setting, or a combination of settings, that makes no sense."""
