"""What a task is: the contract that every simulated task keeps, and the task that a name stands for.

    lift                    one of ours (`task_names`)
    package.module:NAME     an object of yours that keeps the contract `Task`; without arguments, it may be a class
    environment.toml        a Gymnasium environment, and what its numbers mean (environment_file.py)

docs/own-environment.md is the user's page.
"""

import re
from collections.abc import Mapping
from importlib import import_module
from inspect import getattr_static
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from shared.errors import SimulationError
from trainer.config import ActionName

if TYPE_CHECKING:
    from trainer.simulation.robosuite_task import RobosuiteTask

ONLOOKER = "onlooker"
"""The camera that draws pictures for people, such as videos."""

_MODULES = {
    "lift": "trainer.simulation.lift",
    "stack": "trainer.simulation.stack",
    "stack_three": "trainer.simulation.stack_three",
    "can": "trainer.simulation.can",
    "square": "trainer.simulation.square",
}
_FILES = (".toml", ".json")
_HOW = (
    f"write the name of one of ours ({', '.join(_MODULES)}), package.module:NAME for an object of yours, or the "
    "mapping file of a Gymnasium environment (docs/own-environment.md)"
)


class EnvironmentFault(SimulationError):
    """An episode that can't go on because of its environment: it crashed, hung, or showed what it had not said."""


class Episode(Protocol):
    """A running episode of a task. Any exception from it fails its rollout, and no other.

    It may also have `reached`: where its arm and objects are now, for people who look at rollouts (reached.py).
    """

    def observation(self) -> Mapping[str, NDArray[Any]]:
        """What is seen now: each key of the task's `observation_widths` with so many finite numbers."""
        ...

    def pictures(self, sizes: Mapping[str, tuple[int, int]]) -> Mapping[str, NDArray[np.uint8]]:
        """What cameras see now: of each one that is asked for, (height, width, 3) RGB.

        Args:
            sizes: height and width in which a policy sees each; pictures of another size are resized.
        """
        ...

    def step(self, action: NDArray[np.floating]) -> None:
        """One control step: 1 / rate_hz seconds towards an action (action_width,)."""
        ...

    def succeeded(self) -> bool:
        """Whether the task is done now."""
        ...

    def over(self) -> bool:
        """Whether the episode ended by itself, done or not: no step follows."""
        ...

    def close(self) -> None:
        """Gives back what the episode holds. It is the last call."""
        ...


class Task(Protocol):
    """A task in simulation, of which episodes are begun.

    Actions are a policy's (trainer/data/action.py): `ee_pose`, (10,), position of the tool centre point in the base
    frame [m] 3, rotation_6d 6, gripper 1; or `joint_position`, (dof + 1,), joints [rad or m], gripper 1. The gripper is
    -1 open to +1 closed. A task may also have `expert`: from an episode that has just begun, an iterator over actions,
    each drawn when the episode has done the one before.
    """

    @property
    def name(self) -> str:
        """Its name in reports and file names."""
        ...

    @property
    def robot(self) -> str:
        """Name of the arm, as in the catalogue if it is there."""
        ...

    @property
    def rate_hz(self) -> float:
        """Control steps per second."""
        ...

    @property
    def action(self) -> ActionName:
        """What an action is."""
        ...

    @property
    def action_width(self) -> int:
        """Numbers of an action."""
        ...

    @property
    def episode_limit(self) -> int:
        """Control steps after which a rollout has failed."""
        ...

    @property
    def observation_widths(self) -> Mapping[str, int]:
        """Each key of an observation with its width."""
        ...

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras; `onlooker`, where there is one, draws videos."""
        ...

    def begin(self, seed: int) -> Episode:
        """The episode of a seed: the same seed begins the same. In one process, one follows the other."""
        ...


def task_names() -> tuple[str, ...]:
    """The names of our own tasks."""
    return tuple(_MODULES)


def is_file(text: str) -> bool:
    """Whether `--task` names the mapping file of an environment."""
    return text.endswith(_FILES)


def load_task(text: str) -> Task:
    """The task that `--task` names, in this process.

    Raises:
        SimulationError: there is none, it can't be loaded, or it does not keep the contract; says what to write.
        ConfigError: its mapping file is wrong.
    """
    if text in _MODULES:
        found = import_module(_MODULES[text]).TASK
    elif is_file(text):
        from trainer.simulation.gymnasium_task import GymnasiumTask

        return GymnasiumTask.read(Path(text))
    elif re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text):
        found = imported(text, "--task")
    elif "/" in text or re.search(r"-v\d+$", text):
        raise SimulationError(
            f"there is no task '{text}'; if it is the id of a Gymnasium environment, give it in a mapping file, which "
            f"says what its numbers mean: --task environment.toml (docs/own-environment.md)"
        )
    else:
        raise SimulationError(f"there is no task '{text}'; {_HOW}")
    return _checked(found() if isinstance(found, type) else found, text)


def find_task(text: str) -> "RobosuiteTask":
    """The task of robosuite that `--task` names: one of ours, or package.module:NAME.

    Raises:
        SimulationError: as `load_task`, or it is not robosuite's.
    """
    from trainer.simulation.robosuite_task import RobosuiteTask

    task = load_task(text)
    if not isinstance(task, RobosuiteTask):
        raise SimulationError(f"task '{text}' is not a RobosuiteTask, which this command needs: {_HOW}")
    return task


def imported(text: str, option: str) -> Any:
    """The object that package.module:NAME names. Raises SimulationError, naming the option that it was given as."""
    module_name, _, name = text.partition(":")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        raise SimulationError(
            f"{option} {text}: {error}; modules are looked for in the working directory and where Python is told to "
            "(PYTHONPATH)"
        ) from error
    except Exception as error:  # Whatever a user's module does when it is imported.
        raise SimulationError(
            f"{option} {text}: importing {module_name} failed: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(module, name):
        own = [key for key, value in vars(module).items() if _is_public(key, value, module_name)]
        raise SimulationError(f"{option} {text}: {module_name} has no '{name}'; it has {', '.join(own) or 'nothing'}")
    return getattr(module, name)


def _is_public(name: str, value: Any, module_name: str) -> bool:
    """Whether it is a module's own, or a task."""
    return not name.startswith("_") and (getattr(value, "__module__", None) == module_name or _has(value, "begin"))


def _has(value: Any, key: str) -> bool:
    """Whether there is such an attribute, without asking for it: a scene would be compiled for some."""
    return getattr_static(value, key, None) is not None or hasattr(value, key)


def _checked(task: Any, text: str) -> Task:
    wanted = [key for key in vars(Task) if not key.startswith("_")]
    lacking = [key for key in wanted if not _has(task, key)]
    if lacking:
        raise SimulationError(
            f"--task {text}: is {type(task).__name__}, which lacks {', '.join(lacking)}; a task has "
            f"{', '.join(wanted)} (docs/own-environment.md)"
        )
    return cast(Task, task)
