"""Datasets of copies, by their place or by the file that says where they are, and which of them failed a replay."""

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


def failed_copies(replayed: Path, copies: ShardSource) -> frozenset[int]:
    """Ids of the copies that failed when they were commanded open loop.

    Args:
        replayed: the JSON that `python -m trainer replay --out` wrote.
        copies: the dataset that was replayed.

    Raises:
        ConfigError: the file is none of those, is of another dataset, does not say of every copy, or says that all
            failed.
    """
    header = copies.header
    try:
        found = json.loads(replayed.read_text())
        dataset_id = found["dataset_id"]
        success = {int(entry["id"]): bool(entry["success"]) for entry in found["copies"]}
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(f"{replayed}: is not what `python -m trainer replay --out` wrote") from None
    if dataset_id != header.dataset_id:
        raise ConfigError(f"{replayed} is of dataset {dataset_id[:12]}, the copies are {header.dataset_id[:12]}")
    if set(success) != set(range(header.count)):
        raise ConfigError(
            f"{replayed} says what became of {len(success)} copies, the dataset has {header.count}; replay them all "
            f"(--count {header.count})"
        )
    if not any(success.values()):
        raise ConfigError(f"{replayed} says that no copy succeeded: there is nothing to train on")
    return frozenset(one for one, well in success.items() if not well)
