"""What a task's expert does in the episode of a seed: a rollout's demonstration, from the same beginning."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.simulation.isolated import IsolatedTask
from trainer.simulation.reached import Reached
from trainer.simulation.task import EnvironmentFault, Task
from trainer.simulation.watched_episode import Seen, WatchedEpisode


@dataclass(frozen=True, eq=False)
class ExpertAttempt:
    """An attempt of T control steps.

    Attributes:
        success: whether the task was done; it ends there.
        commands: (T, action_width) float32.
        reached: where arm and objects were, of each name (T + 1, numbers), as far as the task tells (reached.py).
    """

    success: bool
    commands: NDArray[np.float32]
    reached: Reached


def attempt_of_expert(task: Task, seed: int) -> ExpertAttempt | None:
    """The expert's attempt; None where the task has none, or its environment has a fault."""
    expert = _expert(task)
    if expert is None:
        return None
    watched = WatchedEpisode(task, seed, 1, Seen(()), None, followed=True)
    commands: list[NDArray[np.float32]] = []
    success = False
    try:
        watched.begin()
        for action in expert(watched.running):
            command = np.asarray(action, np.float32)
            if command.shape != (task.action_width,) or not np.isfinite(command).all():
                return None
            watched.step(command)
            commands.append(command)
            success = watched.succeeded()
            if success or watched.over() or len(commands) == task.episode_limit:
                break
    except EnvironmentFault:
        return None
    finally:
        watched.close()
    return ExpertAttempt(success, np.array(commands, np.float32).reshape(-1, task.action_width), watched.reached())


def _expert(task: Task) -> Callable[[Any], Iterator[NDArray[Any]]] | None:
    if isinstance(task, IsolatedTask):
        return task.expert if task.has_expert else None
    found: Callable[[Any], Iterator[NDArray[Any]]] | None = getattr(task, "expert", None)
    return found
