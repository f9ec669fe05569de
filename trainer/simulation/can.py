"""Can: take the can out of the bin it stands in, put it into its place in the other one (robosuite's PickPlaceCan)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.simulation.environment import Environment
from trainer.simulation.motion import Stroke
from trainer.simulation.robosuite_env import make_robosuite, quiet_import
from trainer.simulation.robosuite_task import RobosuiteTask, SceneObject
from trainer.simulation.script import Script, above, drawn_manner, facing_down

_RESTING = -0.052  # height of the centre of a can that stands in a bin, in the base frame [m]
# In the base frame [m]: the corner of its place nearest to the robot, where the arm reaches it with something to spare.
_PLACE = np.array([0.66, 0.46, _RESTING])

_HOVER = 0.10  # above the grasp [m]
_GRASP_ABOVE_CENTRE = 0.008
_CARRY = 0.14  # what the can is lifted by, over the bins' sides of 4 cm above its centre [m]
_PRESS = 0.008  # the can is commanded this far into the bin's floor, and let go as soon as it touches
_TOUCHING = 0.004  # gap under the can that counts as none
_RETREAT = 0.10
# The tool leans outwards, for the reach; it does so all the time, so that the can stays upright.
_LEAN = np.deg2rad(20.0)


def _make_env() -> Any:
    with quiet_import():
        from robosuite.utils.placement_samplers import UniformRandomSampler
    env = make_robosuite("PickPlaceCan")
    # robosuite's sampler is made of several, which would not follow the seed of the episode: the can's alone is kept.
    own = env.placement_initializer.samplers["CollisionObjectSampler"]
    env.placement_initializer = UniformRandomSampler(
        name=own.name,
        mujoco_objects=[thing for thing in env.objects if thing.name == "Can"],
        x_range=own.x_range,
        y_range=own.y_range,
        rotation=own.rotation,
        reference_pos=own.reference_pos,
        z_offset=own.z_offset,
    )
    return env


def _expert(environment: Environment) -> Iterator[NDArray[np.float64]]:
    script = Script(environment, drawn_manner(environment.seed))
    grasp = above(environment.object_pose("can")[0], _GRASP_ABOVE_CENTRE)
    down = _facing(grasp)
    yield from script.hesitate()
    yield from script.move(Stroke((script.before(grasp, _HOVER), down)), Stroke((grasp, down), overlap=0.4))
    yield from script.arrive(0.012)
    yield from script.grasp()

    # Where the can sits in the hand decides where the hand must go.
    held = environment.object_pose("can")[0] - environment.tcp_pose()[0]
    place = _PLACE - [0.0, 0.0, held[2] + _PRESS]
    over, out = above(place, _CARRY), _facing(_PLACE)
    lifted = above(grasp, _CARRY)
    yield from script.move(Stroke((lifted, down)), Stroke((over, out), overlap=0.2))
    yield from script.arrive(0.02)
    yield from script.hesitate()
    yield from script.move(Stroke((place, out)), until=lambda: _stands(environment))
    yield from script.wait(until=lambda: _stands(environment))
    yield from script.release()
    yield from script.move(Stroke((above(place, _RETREAT), out)))


def _facing(position: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) rotation of the tool at a position: down, turned and leaning away from the base; a can has no yaw."""
    return facing_down(float(np.arctan2(position[1], position[0])), _LEAN)


def _stands(environment: Environment) -> bool:
    """Whether the can stands in a bin, as seen from its height."""
    return bool(environment.object_pose("can")[0][2] < _RESTING + _TOUCHING)


TASK = RobosuiteTask(
    name="can",
    robosuite_name="PickPlaceCan",
    make_env=_make_env,
    objects=(SceneObject("can", "Can_main", yaw_symmetry=360),),
    episode_limit=400,
    expert=_expert,
)
