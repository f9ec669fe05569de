"""Stack: put the small cube on the large one, both anywhere within 20 cm of the table's middle (stack_d1)."""

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
from trainer.simulation.robosuite_env import make_robosuite
from trainer.simulation.robosuite_task import RobosuiteTask, SceneObject
from trainer.simulation.script import Script, above, facing_down


def _make_env() -> Any:
    return make_robosuite("Stack", placement_initializer=placement())


def _expert(environment: Environment) -> Iterator[NDArray[np.float64]]:
    script = Script(environment)
    cube_a, cube_b = environment.object_pose("cube_a"), environment.object_pose("cube_b")
    down = facing_down(grasp_yaw(cube_a, {"cube_b": cube_b}), lean(cube_a, cube_b))
    grasp = above(cube_a[0], -GRASP_BELOW_CENTRE)
    yield from script.move(Stroke((above(grasp, HOVER), down)), Stroke((grasp, down), overlap=0.4))
    yield from script.arrive(0.012)
    yield from script.grasp()

    # Where the cube sits in the hand decides where the hand must go.
    held = environment.object_pose("cube_a")[0] - environment.tcp_pose()[0]
    place = above(environment.object_pose("cube_b")[0] - held, HALF["cube_a"] + HALF["cube_b"] - PRESS)
    over = above(place, HOVER)
    lifted = np.array([*grasp[:2], over[2]])
    strokes = Stroke((lifted, down)), Stroke((over, down), overlap=0.4), Stroke((place, down), overlap=0.3)
    yield from script.move(*strokes, until=lambda: _touches(environment))
    yield from script.wait(until=lambda: _touches(environment))
    yield from script.release()
    yield from script.move(Stroke((above(place, RETREAT), down)))


def _touches(environment: Environment) -> bool:
    """Whether cube A sits on cube B, as seen from their positions."""
    cube_a, cube_b = environment.object_pose("cube_a"), environment.object_pose("cube_b")
    return touches(cube_a, cube_b, (HALF["cube_a"], HALF["cube_b"]))


TASK = RobosuiteTask(
    name="stack",
    robosuite_name="Stack",
    make_env=_make_env,
    objects=(SceneObject("cube_a", "cubeA_main", yaw_symmetry=4), SceneObject("cube_b", "cubeB_main", yaw_symmetry=4)),
    episode_limit=270,
    expert=_expert,
)
