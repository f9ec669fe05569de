"""What a policy sees of a task: the ordered list of keys, their widths, and how they are joined to one vector.

All in the robot's base frame, in float32:

    tcp_position 3 [m]          tcp_rotation_6d 6            finger_position 2 [m], 0 closed to 0.04 open
    <object>_position 3 [m], <object>_rotation_6d 6          for each object, in the task's order
    tcp_to_<object> 3 [m]                                    for each object
    <object>_to_<other> 3 [m]                                for each pair of objects, in order

An object's rotation is known up to its symmetry only: of the equal ones, the one nearest to the base frame at
reset is taken and then followed, so that a policy need not learn that four yaws of a cube are one.
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from trainer.simulation.robosuite_task import RobosuiteTask

ROBOT_KEYS = ("tcp_position", "tcp_rotation_6d", "finger_position")
"""What the robot observes of itself."""

Observation = dict[str, NDArray[np.float32]]


def observation_widths(task: RobosuiteTask) -> dict[str, int]:
    """Each key of the task's observation with its width, in the order in which they are joined."""
    names = [thing.name for thing in task.objects]
    widths = dict(zip(ROBOT_KEYS, (3, 6, 2), strict=True))
    for name in names:
        widths |= {f"{name}_position": 3, f"{name}_rotation_6d": 6}
    widths |= {f"tcp_to_{name}": 3 for name in names}
    return widths | {f"{a}_to_{b}": 3 for a, b in combinations(names, 2)}


def join_observation(observation: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """(..., sum of widths) vector of an observation, in the order of its keys."""
    return np.concatenate(list(observation.values()), axis=-1)
