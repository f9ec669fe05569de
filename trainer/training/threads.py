"""How many threads a training computes with."""

import json
import os
from dataclasses import replace
from typing import TypeVar

from trainer.config import AdaptConfig, PretrainConfig
from trainer.training.run_folder import RunFolder

_Config = TypeVar("_Config", PretrainConfig, AdaptConfig)


def available_threads() -> int:
    """The cores that this process may use, shared equally with the other processes that torchrun started here.

    OMP_NUM_THREADS says otherwise where someone has set it; torchrun sets it to 1 by itself, which says nothing.
    """
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdigit() and int(said) >= 1 and not (processes > 1 and said == "1"):
        return int(said)
    return max(1, len(os.sched_getaffinity(0)) // processes)


def with_threads(config: _Config, folder: RunFolder, *, overwrite: bool) -> _Config:
    """A config that says its number of threads: that of the run that is gone on with, else what is available.

    Sums are rounded otherwise by another number, and a resumed run must be the uninterrupted one to the bit.
    """
    if config.training.threads is not None:
        return config
    threads = None if overwrite else _recorded(folder)
    return replace(config, training=replace(config.training, threads=threads or available_threads()))


def _recorded(folder: RunFolder) -> int | None:
    try:
        threads = json.loads((folder.path / "config.json").read_text())["config"]["training"]["threads"]
    except (OSError, ValueError, KeyError, TypeError):
        # What is wrong with the file is said by RunFolder.begin.
        return None
    return threads if isinstance(threads, int) else None
