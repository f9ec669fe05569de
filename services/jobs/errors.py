"""What can be wrong with asking something of a job.

HeadstartError
└── JobError
    ├── UnknownJobError       there is no such job
    ├── UnknownShardError     there is no such shard, or not yet
    ├── JobStateError         the job is past what was asked
    ├── IdempotencyError      an Idempotency-Key used before for another request
    ├── QueueFullError        too many jobs wait
    └── StorageError          the data folder can't take another dataset
"""

from shared.errors import HeadstartError


class JobError(HeadstartError):
    """Base of these errors."""


class UnknownJobError(JobError):
    """There is no such job."""


class UnknownShardError(JobError):
    """There is no such shard, or not yet."""


class JobStateError(JobError):
    """The job is past what was asked."""


class IdempotencyError(JobError):
    """An Idempotency-Key that was used before, for another request."""


class QueueFullError(JobError):
    """Too many jobs wait."""


class StorageError(JobError):
    """The data folder can't take another dataset."""
