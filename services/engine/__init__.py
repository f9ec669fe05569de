"""Where shards are made: inline, in processes, or by Ray; the same bytes whichever it is."""

import os

from services.engine.engine import ENGINES, Engine, EngineName
from services.engine.inline import InlineEngine
from services.engine.process import ProcessEngine
from services.engine.ray_cluster import RayEngine
from shared.errors import ConfigError


def open_engine(name: str, workers: int | None = None) -> Engine:
    """The engine called `name`, not started yet.

    Args:
        name: one of ENGINES.
        workers: shards in the making at once; by default one for each usable core, or what the Ray cluster has.

    Raises:
        ConfigError: an unknown engine, or fewer than one worker.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers {workers}: at least 1 is needed")
    if name == "inline":
        if workers not in (None, 1):
            raise ConfigError("the inline engine has one worker; use --engine process for more")
        return InlineEngine()
    if name == "process":
        return ProcessEngine(workers or len(os.sched_getaffinity(0)))
    if name == "ray":
        return RayEngine(workers)
    raise ConfigError(f"unknown engine {name!r}; there are {', '.join(ENGINES)}")


__all__ = ["ENGINES", "Engine", "EngineName", "InlineEngine", "ProcessEngine", "RayEngine", "open_engine"]
