"""Datasets of copies, by their place or by the file that says where they are."""

import json
from pathlib import Path

from shared.errors import ConfigError
from shared.follow import ShardSource
from shared.remote_dataset import open_dataset


def open_copies(where: str, cache: Path) -> ShardSource:
    """A dataset of copies.

    Args:
        where: its directory, its URI (s3://bucket/prefix), its job's URL, or the JSON that `python -m trainer copies`
            wrote.
        cache: folder for the shards of a job's dataset.

    Raises:
        ConfigError: a file that does not say where copies are.
        DatasetError, ServiceError: as `open_dataset`.
    """
    path = Path(where)
    if "://" in where or not path.is_file():
        return open_dataset(where, cache=cache)
    try:
        url = json.loads(path.read_text())["url"]
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{path}: is not what `python -m trainer copies` wrote") from None
    return open_dataset(str(url), cache=cache)
