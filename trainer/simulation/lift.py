"""Lift: take the cube and raise it four centimetres above the table (robosuite's Lift)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.simulation.environment import Environment
from trainer.simulation.motion import Stroke
from trainer.simulation.robosuite_env import make_robosuite
from trainer.simulation.robosuite_task import RobosuiteTask, SceneObject
from trainer.simulation.script import Script, above, facing_down, yaw_of

_HOVER = 0.05  # above the grasp [m]
_LIFT = 0.08
_GRASP_BELOW_CENTRE = 0.004  # the tool centre point goes this far below the cube's centre


def _make_env() -> Any:
    return make_robosuite("Lift")


def _expert(environment: Environment) -> Iterator[NDArray[np.float64]]:
    script = Script(environment)
    position, rotation = environment.object_pose("cube")
    down = facing_down(yaw_of(rotation))
    grasp = above(position, -_GRASP_BELOW_CENTRE)
    yield from script.move(Stroke((above(grasp, _HOVER), down)), Stroke((grasp, down), overlap=0.4))
    yield from script.arrive(0.012)
    yield from script.grasp()
    yield from script.move(Stroke((above(grasp, _LIFT), down)))
    yield from script.arrive(0.01)


TASK = RobosuiteTask(
    name="lift",
    robosuite_name="Lift",
    make_env=_make_env,
    objects=(SceneObject("cube", "cube_main", yaw_symmetry=4),),
    episode_limit=123,
    expert=_expert,
)
