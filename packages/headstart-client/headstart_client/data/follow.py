"""A dataset as a reader sees it, finished or still growing, on disk or over HTTP."""

import time
from collections.abc import Callable
from typing import Protocol

import pyarrow as pa

from headstart_client.data.commits import DatasetState
from headstart_client.data.manifest import Commit, DatasetHeader
from headstart_client.errors import DatasetCancelledError, DatasetFailedError, DatasetStalledError


class ShardSource(Protocol):
    """A dataset as a reader sees it, on disk (Dataset) or over HTTP (remote_dataset.RemoteDataset)."""

    @property
    def header(self) -> DatasetHeader:
        """What the dataset is."""
        ...

    def state(self) -> DatasetState:
        """How far it is now."""
        ...

    def read_shard(self, commit: Commit, columns: list[str] | None = None) -> pa.Table:
        """The rows of a committed shard, its hash checked the first time."""
        ...

    def motions(self, sha256: str) -> bytes | None:
        """The motions file of that content that its rows are copies of; None where there is none."""
        ...


def wait_for_shards(
    source: ShardSource,
    shards: int,
    *,
    max_wait: float = 600.0,
    poll: float = 0.1,
    on_wait: Callable[[DatasetState], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> DatasetState:
    """Waits until `shards` shards are committed without a gap, or the dataset is sealed.

    Args:
        source: the dataset, on disk or over HTTP.
        shards: the watermark wanted; beyond the dataset's end it means all of it.
        max_wait: seconds without a new commit before giving up.
        poll: first pause between looks [s]; doubles up to 2 s while nothing comes.
        on_wait: called before each pause, so that a program can say what it waits for.
        sleep: replaces time.sleep where a caller needs to be interrupted.

    Raises:
        DatasetFailedError, DatasetCancelledError: nothing more will come, and the shards wanted are not there.
        DatasetStalledError: nothing came for `max_wait` seconds.
    """
    wanted = min(shards, source.header.shards)
    seen, pause, since = -1, poll, time.monotonic()
    while True:
        state = source.state()
        if state.watermark >= wanted:
            return state
        where = source.header.dataset_id[:12]
        if state.state == "failed":
            raise DatasetFailedError(f"its job failed after {len(state.commits)} shards: {state.reason}", where)
        if state.state == "cancelled":
            raise DatasetCancelledError(f"its job was cancelled after {len(state.commits)} shards", where)
        if len(state.commits) != seen:
            seen, pause, since = len(state.commits), poll, time.monotonic()
        elif time.monotonic() - since > max_wait:
            raise DatasetStalledError(
                f"no new shard for {max_wait:.0f} s ({seen} of {source.header.shards} are there); "
                "is its service still running?",
                where,
            )
        if on_wait is not None:
            on_wait(state)
        sleep(pause)
        pause = min(2.0, 2 * pause)
