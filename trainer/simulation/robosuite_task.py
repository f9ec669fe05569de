"""A task of robosuite: an environment of theirs with a Panda, what is observed of it, and perhaps an expert."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trainer.config import ActionName
from trainer.data.action import POSE_DIM
from trainer.simulation.robosuite_env import CONTROL_RATE_HZ
from trainer.simulation.task import ONLOOKER

if TYPE_CHECKING:
    from trainer.simulation.environment import Environment

ROBOT = "panda"

Expert = Callable[["Environment"], Iterator[NDArray[np.float64]]]


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
class RobosuiteTask:
    """A `Task` (task.py) that robosuite simulates.

    Attributes:
        name: its name on command lines and in reports.
        robosuite_name: the robosuite environment, whose own success check decides.
        make_env: makes that environment.
        objects: what is observed, in the order of the observation.
        episode_limit: control steps after which a rollout has failed.
        expert: a scripted expert: from an environment just reset, an iterator over `ee_pose` actions (10,), each
            drawn when the environment has done the one before. Ends when it considers itself done. None where there
            is none, and demonstrations come from elsewhere.
    """

    name: str
    robosuite_name: str
    make_env: Callable[[], Any]
    objects: tuple[SceneObject, ...]
    episode_limit: int
    expert: Expert | None = None

    @property
    def robot(self) -> str:
        """Name of the arm, as in the catalogue."""
        return ROBOT

    @property
    def rate_hz(self) -> float:
        """Control steps per second."""
        return CONTROL_RATE_HZ

    @property
    def action(self) -> ActionName:
        """Poses of the tool centre point in the base frame."""
        return "ee_pose"

    @property
    def action_width(self) -> int:
        """Numbers of an action."""
        return POSE_DIM

    @property
    def observation_widths(self) -> Mapping[str, int]:
        """Each key of the observation with its width, in the order in which they are joined (observation.py)."""
        from trainer.simulation.observation import observation_widths

        return observation_widths(self)

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras of the scene, and an onlooker."""
        from trainer.simulation.scene import load_scene

        return (*load_scene(self).cameras, ONLOOKER)

    def begin(self, seed: int) -> "Environment":
        """The episode of a seed, on the process's scene of this task."""
        from trainer.simulation.environment import Environment
        from trainer.simulation.scene import load_scene

        return Environment(load_scene(self), seed)
