"""What the tasks with cubes on a table share: where the cubes lie, and how the tool takes one beside others."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.poses import Pose
from trainer.simulation.robosuite_env import quiet_import
from trainer.simulation.script import facing_down, yaw_of

FloatArray = NDArray[np.float64]

HALF = {"cube_a": 0.020, "cube_b": 0.025, "cube_c": 0.020}
"""Half sides of the cubes [m]."""
HOVER = 0.06
"""How far the tool is above a grasp, and a carried cube above its place, before it goes down [m]."""
GRASP_BELOW_CENTRE = 0.002
"""How far below a cube's centre it is grasped [m]."""
PRESS = 0.008
"""How far a carried cube is commanded into the one below [m], and let go as soon as it touches.

A policy that aimed at a point above and waited there would hold the cube for ever whenever it settled a few millimetres
too high.
"""
RETREAT = 0.08
"""How far the hand goes up from where it let go [m]."""

_PLACEMENT_RANGE = 0.20  # MimicGen's D1 reset range [m]
_TABLE_HEIGHT = 0.8  # robosuite's table in the world
_TOUCHING = 0.001  # gap between two cubes that counts as none [m]

# Straight down, the elbow is almost stretched out at the table's far end, where the controller hardly converges: the
# tool leans outwards in proportion to how far out the farther cube is.
_LEAN_FROM, _LEAN_TO = 0.60, 0.78  # distance from the base [m]
_MOST_LEAN = np.deg2rad(25.0)

# Where the open fingers go down, in the tool's frame: along the closing axis, and half their width.
_FINGER_REACH = 0.065
_FINGER_HALF_WIDTH = 0.015


def placement() -> Any:
    """robosuite's sampler that lays cubes anywhere within 20 cm of the table's middle, none touching another."""
    with quiet_import():
        from robosuite.utils.placement_samplers import UniformRandomSampler
    return UniformRandomSampler(
        name="ObjectSampler",
        x_range=[-_PLACEMENT_RANGE, _PLACEMENT_RANGE],
        y_range=[-_PLACEMENT_RANGE, _PLACEMENT_RANGE],
        rotation=None,
        ensure_object_boundary_in_range=False,
        ensure_valid_placement=True,
        reference_pos=np.array([0.0, 0.0, _TABLE_HEIGHT]),
        z_offset=0.01,
    )


def lean(*cubes: Pose) -> float:
    """Angle [rad] by which the tool leans outwards to reach all of these cubes, poses in the base frame."""
    farthest = max(np.linalg.norm(cube[0][:2]) for cube in cubes)
    return float(_MOST_LEAN * np.clip((farthest - _LEAN_FROM) / (_LEAN_TO - _LEAN_FROM), 0.0, 1.0))


def grasp_yaw(cube: Pose, others: dict[str, Pose]) -> float:
    """Yaw [rad] of the tool: the cube's, turned by 90 degrees where a finger would come down on one of the others."""
    straight = yaw_of(cube[1])
    turned = straight - np.copysign(np.pi / 2, straight)
    hits = [
        any(_fingers_hit(yaw, cube, pose, HALF[name]) for name, pose in others.items()) for yaw in (straight, turned)
    ]
    return float(turned if hits[0] and not hits[1] else straight)


def touches(cube: Pose, base: Pose, halves: tuple[float, float]) -> bool:
    """Whether a cube sits on another one, as seen from their positions; half sides of both [m]."""
    apart = cube[0] - base[0]
    on_top = np.linalg.norm(apart[:2]) < halves[1]
    return bool(on_top and apart[2] < sum(halves) + _TOUCHING)


def _fingers_hit(yaw: float, cube: Pose, other: Pose, half: float) -> bool:
    """Whether an open finger at a cube meets another one; conservative, by its extent along the tool's two axes."""
    across, along = np.abs(facing_down(yaw).T @ (other[0] - cube[0]))[:2]
    relative = yaw_of(other[1]) - yaw
    extent = half * (abs(np.cos(relative)) + abs(np.sin(relative)))
    return bool(along < _FINGER_REACH + extent and across < _FINGER_HALF_WIDTH + extent)
