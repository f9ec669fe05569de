"""The compiled control step against robosuite's own `env.step`."""

from typing import Any

import numpy as np
import pytest

from shared.rotation import matrix_to_rotvec, rotvec_to_matrix
from trainer.poses import Frames, Pose
from trainer.simulation.collect import attempt
from trainer.simulation.environment import OPEN, Environment, ee_pose_action
from trainer.simulation.frames import GRIP_SITE, site_pose
from trainer.simulation.recording import site_actions
from trainer.simulation.scene import load_scene
from trainer.simulation.task import find_task

SETTLING_STEPS = 10


def stock_reset(env: Any, seed: int) -> None:
    """robosuite's environment as `Environment.reset` leaves ours."""
    env.rng = env.placement_initializer.rng = np.random.default_rng(seed)
    env.reset()
    position, rotation = site_pose(env.sim.data._data, GRIP_SITE)
    for _ in range(SETTLING_STEPS):
        env.step(np.concatenate([position, matrix_to_rotvec(rotation), [OPEN]]))


def wandering(start: Pose, frames: Frames, steps: int) -> list[np.ndarray]:
    """A random walk of commanded tool poses away from the table, with the gripper opening and closing."""
    rng = np.random.default_rng(0)
    position, rotation = start
    actions = []
    for step in range(steps):
        position = position + rng.normal(0, 0.012, 3) + [0, 0, 0.002]
        rotation = rotvec_to_matrix(rng.normal(0, 0.05, 3)) @ rotation
        actions.append(ee_pose_action((position, rotation), 1.0 if step // 10 % 2 else -1.0))
    return actions


def test_free_motion_equals_robosuite() -> None:
    scene = load_scene(find_task("lift"))
    ours = Environment(scene, 7)
    stock = find_task("lift").make_env()
    stock_reset(stock, 7)
    actions = wandering(ours.tcp_pose(), scene.frames, 40)
    worst = 0.0
    for action, site_action in zip(actions, site_actions(np.stack(actions), scene.frames), strict=True):
        ours.step(action)
        stock.step(site_action)
        worst = max(worst, np.abs(ours.data.qpos[:9] - stock.sim.data.qpos[:9]).max())
    assert worst < 1e-6
    assert np.abs(ours.data.qpos[:7] - stock.robots[0].init_qpos).max() > 0.1  # it did move


@pytest.mark.parametrize(("name", "seed"), [("lift", 0), ("stack", 3)])
def test_outcome_of_a_demonstration_equals_robosuite(name: str, seed: int) -> None:
    task = find_task(name)
    recorded = attempt(task, seed)
    stock = task.make_env()
    stock_reset(stock, seed)
    initial = np.concatenate([[stock.sim.data.time], stock.sim.data.qpos, stock.sim.data.qvel])
    assert np.abs(initial - recorded.states[0]).max() < 1e-6
    outcomes = []
    for action in site_actions(recorded.actions, load_scene(task).frames):
        stock.step(action)
        outcomes.append(stock._check_success())
    assert outcomes[-1] == recorded.success
    assert abs(outcomes.index(True) - int(np.argmax(recorded.succeeded))) <= 1
