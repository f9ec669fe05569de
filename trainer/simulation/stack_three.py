"""Stack three: the small cube A on the large cube B, then the small cube C on A (stack_three_d1).

robosuite has no such environment: it is its Stack with a third cube and a success check of its own.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.simulation.cubes import (
    GRASP_BELOW_CENTRE,
    HALF,
    HOVER,
    PRESS,
    RETREAT,
    grasp_yaw,
    lean,
    placement,
    touches,
)
from trainer.simulation.environment import Environment
from trainer.simulation.motion import Stroke
from trainer.simulation.robosuite_env import make_robosuite, quiet_import
from trainer.simulation.robosuite_task import RobosuiteTask, SceneObject
from trainer.simulation.script import Script, above, drawn_manner, facing_down

_ROBOSUITE_NAME = "StackThree"
_A_LIFTED, _C_LIFTED = 0.04, 0.08  # heights of the cubes' centres above the table that the success check asks for [m]
_PASSING = 0.13  # above the second grasp, lest the fingers sweep the stack away on their way from it [m]


def _make_env() -> Any:
    _register()
    return make_robosuite(_ROBOSUITE_NAME, placement_initializer=placement())


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
            size = [HALF["cube_c"]] * 3
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
    script = Script(environment, drawn_manner(environment.seed))
    yield from _put_on(script, "cube_a", "cube_b", others=("cube_b", "cube_c"), hover=HOVER)
    yield from _put_on(script, "cube_c", "cube_a", others=("cube_b",), hover=_PASSING)


def _put_on(
    script: Script, cube: str, base: str, others: tuple[str, ...], hover: float
) -> Iterator[NDArray[np.float64]]:
    """Takes a cube, from `hover` [m] above it, and puts it on another; the fingers avoid the `others` going down."""
    environment = script.environment
    pose, to = environment.object_pose(cube), environment.object_pose(base)
    down = facing_down(grasp_yaw(pose, {name: environment.object_pose(name) for name in others}), lean(pose, to))
    grasp = above(pose[0], -GRASP_BELOW_CENTRE)
    yield from script.hesitate()
    yield from script.move(Stroke((script.before(grasp, hover), down)), Stroke((grasp, down), overlap=0.4))
    yield from script.arrive(0.012)
    yield from script.grasp()

    # Where the cube sits in the hand decides where the hand must go.
    held = environment.object_pose(cube)[0] - environment.tcp_pose()[0]
    place = above(environment.object_pose(base)[0] - held, HALF[cube] + HALF[base] - PRESS)
    over = above(place, HOVER)
    lifted = np.array([*grasp[:2], over[2]])
    yield from script.move(Stroke((lifted, down)), Stroke((over, down), overlap=0.4))
    # Above a place near the base, the elbow swings and the tool with it, which ends in an instant: it is waited for.
    yield from script.arrive(0.012)
    yield from script.hesitate()
    yield from script.move(Stroke((place, down)), until=lambda: _touches(environment, cube, base))
    yield from script.wait(until=lambda: _touches(environment, cube, base))
    yield from script.release()
    yield from script.move(Stroke((above(place, RETREAT), down)))


def _touches(environment: Environment, cube: str, base: str) -> bool:
    """Whether a cube sits on another one, as seen from their positions."""
    return touches(environment.object_pose(cube), environment.object_pose(base), (HALF[cube], HALF[base]))


TASK = RobosuiteTask(
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
