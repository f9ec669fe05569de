"""A task of robosuite that is not built in: put the carton of milk into its bin (PickPlaceMilk), with an expert."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.simulation.environment import Environment
from trainer.simulation.motion import Stroke
from trainer.simulation.robosuite_env import make_robosuite
from trainer.simulation.robosuite_task import RobosuiteTask, SceneObject
from trainer.simulation.script import Script, above, facing_down, yaw_of

GRASP_ABOVE_CENTRE = 0.02  # [m]
LIFT = 0.16  # over the sides of the bins [m]
PLACE = np.array([0.5025, 0.2575, 0.0])  # the middle of its bin, in the base frame [m]


def make_env() -> Any:
    """robosuite's environment, with a Panda under absolute pose control."""
    return make_robosuite("PickPlaceMilk")


def expert(environment: Environment) -> Iterator[NDArray[np.float64]]:
    """Above the carton, down, close, over to its bin, down, open, up."""
    script = Script(environment)
    position, rotation = environment.object_pose("milk")
    grasp, down = above(position, GRASP_ABOVE_CENTRE), facing_down(yaw_of(rotation))
    yield from script.move(Stroke((above(grasp, LIFT), down)), Stroke((grasp, down), overlap=0.4))
    yield from script.arrive(0.012)
    yield from script.grasp()
    place, there = np.array([*PLACE[:2], grasp[2]]), facing_down(0.0)
    yield from script.move(Stroke((above(grasp, LIFT), down)), Stroke((above(place, LIFT), there), overlap=0.2))
    yield from script.move(Stroke((place, there)))
    yield from script.arrive(0.02)
    yield from script.release()
    yield from script.move(Stroke((above(place, LIFT), there)))


TASK = RobosuiteTask(
    name="milk",
    robosuite_name="PickPlaceMilk",
    make_env=make_env,
    objects=(SceneObject("milk", "Milk_main", yaw_symmetry=4),),
    episode_limit=400,
    expert=expert,
)
