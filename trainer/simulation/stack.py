"""Stack: put the small cube on the large one, both anywhere within 20 cm of the table's middle (stack_d1)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.frames import Pose
from trainer.simulation.environment import Environment
from trainer.simulation.motion import Stroke
from trainer.simulation.robosuite_env import make_robosuite, quiet_import
from trainer.simulation.script import Script, above, facing_down, yaw_of
from trainer.simulation.task import SceneObject, Task

_PLACEMENT_RANGE = 0.20  # MimicGen's D1 reset range [m]
_TABLE_HEIGHT = 0.8  # robosuite's table in the world

_HALF_A, _HALF_B = 0.020, 0.025  # half sides of the cubes [m]
_HOVER = 0.06  # above the grasp, and of the carried cube above its place [m]
_GRASP_BELOW_CENTRE = 0.002
# The carried cube is commanded this far into the other one, and let go as soon as it touches. A policy that aimed at a
# point above and waited there would hold the cube for ever whenever it settled a few millimetres too high.
_PRESS = 0.008
_TOUCHING = 0.001  # gap between the cubes that counts as none
_RETREAT = 0.08

# Straight down, the elbow is almost stretched out at the table's far end, where the controller hardly converges: the
# tool leans outwards in proportion to how far out the farther cube is.
_LEAN_FROM, _LEAN_TO = 0.60, 0.78  # distance from the base [m]
_MOST_LEAN = np.deg2rad(25.0)

# Where the open fingers go down, in the tool's frame: along the closing axis, and half their width.
_FINGER_REACH = 0.065
_FINGER_HALF_WIDTH = 0.015


def _make_env() -> Any:
    with quiet_import():
        from robosuite.utils.placement_samplers import UniformRandomSampler
    placement = UniformRandomSampler(
        name="ObjectSampler",
        x_range=[-_PLACEMENT_RANGE, _PLACEMENT_RANGE],
        y_range=[-_PLACEMENT_RANGE, _PLACEMENT_RANGE],
        rotation=None,
        ensure_object_boundary_in_range=False,
        ensure_valid_placement=True,
        reference_pos=np.array([0.0, 0.0, _TABLE_HEIGHT]),
        z_offset=0.01,
    )
    return make_robosuite("Stack", placement_initializer=placement)


def _expert(environment: Environment) -> Iterator[NDArray[np.float64]]:
    script = Script(environment)
    cube_a, cube_b = environment.object_pose("cube_a"), environment.object_pose("cube_b")
    down = facing_down(_grasp_yaw(cube_a, cube_b), _lean(cube_a, cube_b))
    grasp = above(cube_a[0], -_GRASP_BELOW_CENTRE)
    yield from script.move(Stroke((above(grasp, _HOVER), down)), Stroke((grasp, down), overlap=0.4))
    yield from script.arrive(0.012)
    yield from script.grasp()

    # Where the cube sits in the hand decides where the hand must go.
    held = environment.object_pose("cube_a")[0] - environment.tcp_pose()[0]
    place = above(environment.object_pose("cube_b")[0] - held, _HALF_A + _HALF_B - _PRESS)
    over = above(place, _HOVER)
    lifted = np.array([*grasp[:2], over[2]])
    strokes = Stroke((lifted, down)), Stroke((over, down), overlap=0.4), Stroke((place, down), overlap=0.3)
    yield from script.move(*strokes, until=lambda: _touches(environment))
    yield from script.wait(until=lambda: _touches(environment))
    yield from script.release()
    yield from script.move(Stroke((above(place, _RETREAT), down)))


def _touches(environment: Environment) -> bool:
    """Whether cube A sits on cube B, as seen from their positions."""
    apart = environment.object_pose("cube_a")[0] - environment.object_pose("cube_b")[0]
    above_b = np.linalg.norm(apart[:2]) < _HALF_B
    return bool(above_b and apart[2] < _HALF_A + _HALF_B + _TOUCHING)


def _lean(cube_a: Pose, cube_b: Pose) -> float:
    """Angle [rad] by which the tool leans outwards."""
    farthest = max(np.linalg.norm(cube_a[0][:2]), np.linalg.norm(cube_b[0][:2]))
    return float(_MOST_LEAN * np.clip((farthest - _LEAN_FROM) / (_LEAN_TO - _LEAN_FROM), 0.0, 1.0))


def _grasp_yaw(cube_a: Pose, cube_b: Pose) -> float:
    """Yaw of the tool: that of cube A, turned by 90 degrees where a finger would come down on cube B."""
    straight = yaw_of(cube_a[1])
    turned = straight - np.copysign(np.pi / 2, straight)
    return turned if _fingers_hit(straight, cube_a, cube_b) and not _fingers_hit(turned, cube_a, cube_b) else straight


def _fingers_hit(yaw: float, cube_a: Pose, cube_b: Pose) -> bool:
    """Whether an open finger at cube A meets cube B; conservative, by B's extent along the tool's two axes."""
    tool = facing_down(yaw)
    across, along = np.abs(tool.T @ (cube_b[0] - cube_a[0]))[:2]
    relative = yaw_of(cube_b[1]) - yaw
    extent = _HALF_B * (abs(np.cos(relative)) + abs(np.sin(relative)))
    return bool(along < _FINGER_REACH + extent and across < _FINGER_HALF_WIDTH + extent)


TASK = Task(
    name="stack",
    robosuite_name="Stack",
    make_env=_make_env,
    objects=(SceneObject("cube_a", "cubeA_main", yaw_symmetry=4), SceneObject("cube_b", "cubeB_main", yaw_symmetry=4)),
    episode_limit=270,
    expert=_expert,
)
