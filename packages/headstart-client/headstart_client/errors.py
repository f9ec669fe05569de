"""Errors that a user of the client and of datasets can meet; those of the two programs are in shared.errors."""

from pathlib import Path


class HeadstartError(Exception):
    """Base of every error that is meant for a user to read."""


class DatasetError(HeadstartError):
    """A dataset directory or one of its files.

    Attributes:
        path: the file or directory that is wrong.
    """

    def __init__(self, message: str, path: Path | str) -> None:
        super().__init__(f"{path}: {message}")
        self.message = message
        self.path = str(path)

    def __reduce__(self) -> tuple[type["DatasetError"], tuple[str, str]]:
        return type(self), (self.message, self.path)


class DatasetFormatError(DatasetError):
    """Not a dataset of ours, or one of another major version."""


class ObjectStoreError(DatasetError):
    """The object store that holds it does not answer, or refuses."""


class CorruptShardError(DatasetError):
    """A shard whose bytes are not those that were committed."""


class CommitConflictError(DatasetError):
    """Two different contents for one shard index."""


class GeneratorVersionError(DatasetError):
    """Begun by another generator_version: resuming would mix two generators' output."""


class DatasetFailedError(DatasetError):
    """The job that was making this dataset failed."""


class DatasetCancelledError(DatasetError):
    """The job that was making this dataset was cancelled."""


class DatasetStalledError(DatasetError):
    """No commit arrived within the follower's max_wait."""


class ServiceError(HeadstartError):
    """The service could not be reached, or answered with a problem.

    Attributes:
        status: the HTTP status, or None when there was no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
