"""What a task is, and which there are. A new task is one new file, named here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import SimulationError

if TYPE_CHECKING:
    from trainer.simulation.environment import Environment

Expert = Callable[["Environment"], Iterator[NDArray[np.float64]]]

_MODULES = {
    "lift": "trainer.simulation.lift",
    "stack": "trainer.simulation.stack",
    "stack_three": "trainer.simulation.stack_three",
    "can": "trainer.simulation.can",
    "square": "trainer.simulation.square",
}


@dataclass(frozen=True)
class SceneObject:
    """A thing that a task is about.

    Attributes:
        name: its name in observations.
        body: its body in the compiled model.
        yaw_symmetry: turning it about its own z axis by 360 degrees / yaw_symmetry makes no difference.
    """

    name: str
    body: str
    yaw_symmetry: int = 1


@dataclass(frozen=True)
class Task:
    """A task in simulation.

    Attributes:
        name: its name on command lines and in reports.
        robosuite_name: the robosuite environment, whose own success check decides.
        make_env: makes that environment.
        objects: what is observed, in the order of the observation.
        episode_limit: control steps after which a rollout has failed.
        expert: a scripted expert: from an environment just reset, an iterator over `ee_pose` actions (10,), each
            drawn when the environment has done the one before. Ends when it considers itself done.
    """

    name: str
    robosuite_name: str
    make_env: Callable[[], Any]
    objects: tuple[SceneObject, ...]
    episode_limit: int
    expert: Expert


def task_names() -> tuple[str, ...]:
    """The names of all tasks."""
    return tuple(_MODULES)


def find_task(name: str) -> Task:
    """The task of that name.

    Raises:
        SimulationError: there is none; names those there are.
    """
    if name not in _MODULES:
        raise SimulationError(f"there is no task '{name}'; there are: {', '.join(_MODULES)}")
    task = import_module(_MODULES[name]).TASK
    assert isinstance(task, Task)
    return task
