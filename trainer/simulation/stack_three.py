"""Stack three: the small cube A on the large cube B, then the small cube C on A (stack_three_d1).

robosuite has no such environment: it is its Stack with a third cube and a success check of its own.
"""

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

_ROBOSUITE_NAME = "StackThree"
_PLACEMENT_RANGE = 0.20  # MimicGen's D1 reset range [m]
_TABLE_HEIGHT = 0.8  # robosuite's table in the world
_A_LIFTED, _C_LIFTED = 0.04, 0.08  # heights of the cubes' centres above the table that the success check asks for [m]

_HALF = {"cube_a": 0.020, "cube_b": 0.025, "cube_c": 0.020}  # half sides of the cubes [m]
_HOVER = 0.06  # above the first grasp, and of a carried cube above its place [m]
_PASSING = 0.13  # above the second grasp, lest the fingers sweep the stack away on their way from it [m]
_GRASP_BELOW_CENTRE = 0.002
# A carried cube is commanded this far into the one below, and let go as soon as it touches: `stack.py` says why.
_PRESS = 0.008
_TOUCHING = 0.001  # gap between the cubes that counts as none
_RETREAT = 0.08

# The tool leans outwards in proportion to how far out the farther cube is, for the reach.
_LEAN_FROM, _LEAN_TO = 0.60, 0.78  # distance from the base [m]
_MOST_LEAN = np.deg2rad(25.0)

# Where the open fingers go down, in the tool's frame: along the closing axis, and half their width.
_FINGER_REACH = 0.065
_FINGER_HALF_WIDTH = 0.015


def _make_env() -> Any:
    with quiet_import():
        from robosuite.utils.placement_samplers import UniformRandomSampler
    _register()
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
    return make_robosuite(_ROBOSUITE_NAME, placement_initializer=placement)


def _register() -> None:
    """Makes the environment known to robosuite, which does so for every class derived from one of its own."""
    with quiet_import():
        from robosuite.environments.manipulation.stack import Stack
        from robosuite.models.objects import BoxObject
        from robosuite.utils.mjcf_utils import CustomMaterial

    class StackThree(Stack):  # type: ignore[misc]  # robosuite has no type information
        """robosuite's Stack with a third cube, as large as the first."""

        def _load_model(self) -> None:
            super()._load_model()
            blue = CustomMaterial(
                texture="WoodBlue",
                tex_name="bluewood",
                mat_name="bluewood_mat",
                tex_attrib={"type": "cube"},
                mat_attrib={"texrepeat": "1 1", "specular": "0.4", "shininess": "0.1"},
            )
            size = [_HALF["cube_c"]] * 3
            self.cubeC = BoxObject(name="cubeC", size_min=size, size_max=size, rgba=[0, 0, 1, 1], material=blue)
            self.placement_initializer.add_objects(self.cubeC)
            self.model.mujoco_objects.append(self.cubeC)
            self.model.merge_objects([self.cubeC])

        def _setup_references(self) -> None:
            super()._setup_references()
            self.cubeC_body_id = self.sim.model.body_name2id(self.cubeC.root_body)

        def _check_success(self) -> bool:
            """Whether A lies on B and C on A, and the gripper holds neither."""
            heights = self.sim.data.body_xpos[[self.cubeA_body_id, self.cubeC_body_id]][:, 2] - self.table_offset[2]
            gripper = self.robots[0].gripper
            return bool(
                heights[0] > _A_LIFTED
                and heights[1] > _C_LIFTED
                and self.check_contact(self.cubeA, self.cubeB)
                and self.check_contact(self.cubeC, self.cubeA)
                and not self._check_grasp(gripper=gripper, object_geoms=self.cubeA)
                and not self._check_grasp(gripper=gripper, object_geoms=self.cubeC)
            )


def _expert(environment: Environment) -> Iterator[NDArray[np.float64]]:
    script = Script(environment)
    yield from _put_on(script, "cube_a", "cube_b", others=("cube_b", "cube_c"), hover=_HOVER)
    yield from _put_on(script, "cube_c", "cube_a", others=("cube_b",), hover=_PASSING)


def _put_on(
    script: Script, cube: str, base: str, others: tuple[str, ...], hover: float
) -> Iterator[NDArray[np.float64]]:
    """Takes a cube, from `hover` [m] above it, and puts it on another; the fingers avoid the `others` going down."""
    environment = script.environment
    pose, to = environment.object_pose(cube), environment.object_pose(base)
    down = facing_down(_grasp_yaw(environment, cube, others), _lean(pose, to))
    grasp = above(pose[0], -_GRASP_BELOW_CENTRE)
    yield from script.move(Stroke((above(grasp, hover), down)), Stroke((grasp, down), overlap=0.4))
    yield from script.arrive(0.012)
    yield from script.grasp()

    # Where the cube sits in the hand decides where the hand must go.
    held = environment.object_pose(cube)[0] - environment.tcp_pose()[0]
    place = above(environment.object_pose(base)[0] - held, _HALF[cube] + _HALF[base] - _PRESS)
    over = above(place, _HOVER)
    lifted = np.array([*grasp[:2], over[2]])
    yield from script.move(Stroke((lifted, down)), Stroke((over, down), overlap=0.4))
    # Above a place near the base, the elbow swings and the tool with it, which ends in an instant: it is waited for.
    yield from script.arrive(0.012)
    yield from script.move(Stroke((place, down)), until=lambda: _touches(environment, cube, base))
    yield from script.wait(until=lambda: _touches(environment, cube, base))
    yield from script.release()
    yield from script.move(Stroke((above(place, _RETREAT), down)))


def _touches(environment: Environment, cube: str, base: str) -> bool:
    """Whether a cube sits on another one, as seen from their positions."""
    apart = environment.object_pose(cube)[0] - environment.object_pose(base)[0]
    on_top = np.linalg.norm(apart[:2]) < _HALF[base]
    return bool(on_top and apart[2] < _HALF[cube] + _HALF[base] + _TOUCHING)


def _lean(*cubes: Pose) -> float:
    """Angle [rad] by which the tool leans outwards."""
    farthest = max(np.linalg.norm(cube[0][:2]) for cube in cubes)
    return float(_MOST_LEAN * np.clip((farthest - _LEAN_FROM) / (_LEAN_TO - _LEAN_FROM), 0.0, 1.0))


def _grasp_yaw(environment: Environment, cube: str, others: tuple[str, ...]) -> float:
    """Yaw of the tool: that of the cube, turned by 90 degrees where a finger would come down on another one."""
    straight = yaw_of(environment.object_pose(cube)[1])
    turned = straight - np.copysign(np.pi / 2, straight)
    hits = [any(_fingers_hit(yaw, environment, cube, other) for other in others) for yaw in (straight, turned)]
    return turned if hits[0] and not hits[1] else straight


def _fingers_hit(yaw: float, environment: Environment, cube: str, other: str) -> bool:
    """Whether an open finger at a cube meets another one; conservative, by its extent along the tool's two axes."""
    position, rotation = environment.object_pose(other)
    across, along = np.abs(facing_down(yaw).T @ (position - environment.object_pose(cube)[0]))[:2]
    relative = yaw_of(rotation) - yaw
    extent = _HALF[other] * (abs(np.cos(relative)) + abs(np.sin(relative)))
    return bool(along < _FINGER_REACH + extent and across < _FINGER_HALF_WIDTH + extent)


TASK = Task(
    name="stack_three",
    robosuite_name=_ROBOSUITE_NAME,
    make_env=_make_env,
    objects=(
        SceneObject("cube_a", "cubeA_main", yaw_symmetry=4),
        SceneObject("cube_b", "cubeB_main", yaw_symmetry=4),
        SceneObject("cube_c", "cubeC_main", yaw_symmetry=4),
    ),
    episode_limit=540,
    expert=_expert,
)
