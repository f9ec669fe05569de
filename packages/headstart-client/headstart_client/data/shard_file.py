"""A shard's file that is fetched into a folder: whole, and what was committed, or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

from headstart_client.data.dataset import verify_shard
from headstart_client.data.manifest import Commit
from headstart_client.errors import CorruptShardError


def fetch_shard(download: Callable[[Path], None], commit: Commit, folder: Path) -> Path:
    """The shard's file in `folder`; fetched, unless it lies there already, by `download` into the path it is given.

    Raises:
        CorruptShardError: what arrives, twice, is not what was committed.
    """
    path = folder / f"shard-{commit.index:08d}.parquet"
    if _is_whole(path, commit):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{path.name}.{os.getpid()}.part"
    try:
        for attempt in (1, 2):
            download(part)
            try:
                verify_shard(part, commit)
                break
            except CorruptShardError:
                if attempt == 2:
                    raise
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _is_whole(path: Path, commit: Commit) -> bool:
    try:
        verify_shard(path, commit)
    except CorruptShardError:
        return False
    return True
