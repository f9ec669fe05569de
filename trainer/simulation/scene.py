"""A compiled task: one robosuite environment and its MuJoCo model, shared by every episode of a process."""

from functools import lru_cache
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from shared.errors import SimulationError
from trainer.poses import Frames, Pose
from trainer.simulation.frames import read_frames
from trainer.simulation.offscreen import OffscreenRenderer
from trainer.simulation.robosuite_task import RobosuiteTask

FloatArray = NDArray[np.float64]


class Scene:
    """A compiled task. Not for use by several threads: robosuite looks at one simulation at a time.

    Attributes:
        task: the task.
        model: its MuJoCo model, the same in every process.
        frames: between robosuite's frames and ours.
        cameras: names of its cameras.
        renderer: draws its states.
    """

    def __init__(self, task: RobosuiteTask) -> None:
        try:
            self._robosuite = task.make_env()
        except ImportError as error:
            raise SimulationError(f"the simulator is not installed ({error}); `make setup` installs it") from error
        # Instead of a line on stderr and a MUJOCO_LOG.TXT in the working directory: `Environment.diverged` says it.
        mujoco.set_mju_user_warning(lambda message: None)
        sim = self._robosuite.sim
        self.task = task
        self.model: mujoco.MjModel = sim.model._model
        self._own_data = sim.data._data
        mujoco.mj_kinematics(self.model, self._own_data)
        self.frames: Frames = read_frames(self._own_data)
        self.cameras = tuple(self.model.camera(index).name for index in range(self.model.ncam))
        self.renderer = OffscreenRenderer(self.model)
        self._body_ids = {thing.name: self.model.body(thing.body).id for thing in task.objects}

    def initial_positions(self, seed: int) -> FloatArray:
        """(nq,) generalized positions at the start of the episode of a seed, as robosuite draws them."""
        env = self._robosuite
        env.sim.data._data = self._own_data
        env.rng = np.random.default_rng(seed)
        for sampler in _samplers(getattr(env, "placement_initializer", None)):
            sampler.rng = env.rng
        env.reset()
        return np.array(self._own_data.qpos)

    def succeeded(self, data: mujoco.MjData) -> bool:
        """robosuite's own success check, on any simulation of this model."""
        self._robosuite.sim.data._data = data
        return bool(self._robosuite._check_success())

    def object_pose(self, data: mujoco.MjData, name: str) -> Pose:
        """Pose of one of the task's objects in the base frame, from kinematics already computed."""
        body = self._body_ids[name]
        return self.frames.base_from_world((data.xpos[body], data.xmat[body].reshape(3, 3)))

    def model_xml(self) -> str:
        """The MJCF that the model was compiled from."""
        return str(self._robosuite.model.get_xml())


def _samplers(sampler: Any) -> list[Any]:
    """A sampler of where objects begin, and those that it is made of, which have generators of their own."""
    if sampler is None:
        return []
    return [sampler, *(inner for one in getattr(sampler, "samplers", {}).values() for inner in _samplers(one))]


@lru_cache(maxsize=4)
def load_scene(task: RobosuiteTask) -> Scene:
    """The process's scene of a task, compiled on first use (a few seconds)."""
    return Scene(task)


def robosuite_arguments(task: RobosuiteTask) -> dict[str, Any]:
    """What robomimic's `env_args` need to know to make the task's environment again."""
    from trainer.simulation.robosuite_env import panda_arguments, quiet_import

    with quiet_import():
        import robosuite
    return {
        "env_name": task.robosuite_name,
        "env_version": robosuite.__version__,
        "type": 1,
        "env_kwargs": panda_arguments(),
    }
