from pathlib import Path

import numpy as np
import pytest

from shared.errors import SimulationError
from shared.rotation import geodesic_angle
from trainer.simulation.environment import OPEN, Environment, ee_pose_action
from trainer.simulation.observation import join_observation, observation_widths
from trainer.simulation.scene import load_scene
from trainer.simulation.task import find_task, task_names


def environment(name: str, seed: int) -> Environment:
    return Environment(load_scene(find_task(name)), seed)


@pytest.mark.parametrize("name", task_names())
def test_observation_has_the_documented_keys_and_widths(name: str) -> None:
    env = environment(name, 0)
    observation = env.observation()
    assert {key: value.size for key, value in observation.items()} == observation_widths(env.scene.task)
    assert list(observation) == list(observation_widths(env.scene.task))
    joined = join_observation(observation)
    assert joined.dtype == np.float32
    assert joined.shape == ({"lift": 23, "stack": 38, "stack_three": 56, "can": 23, "square": 38}[name],)


def test_observation_is_in_the_base_frame() -> None:
    env = environment("stack", 1)
    observation = env.observation()
    body = env.data.body("cubeA_main").xpos
    # robosuite stands the arm at (-0.56, 0, 0.912) in the world.
    np.testing.assert_allclose(observation["cube_a_position"], body - [-0.56, 0.0, 0.912], atol=1e-6)
    np.testing.assert_allclose(
        observation["tcp_to_cube_a"], observation["cube_a_position"] - observation["tcp_position"], atol=1e-6
    )
    np.testing.assert_allclose(
        observation["cube_a_to_cube_b"],
        observation["cube_b_position"] - observation["cube_a_position"],
        atol=1e-6,
    )


def test_reset_leaves_everything_at_rest() -> None:
    for seed in range(5):
        env = environment("stack", seed)
        assert np.abs(env.data.qvel).max() < 0.02
        assert env.finger_opening() > 0.075


def test_a_seed_gives_one_initial_state_whatever_ran_before() -> None:
    fresh = environment("stack", 12)
    used = environment("stack", 5)
    for _ in range(3):
        used.step(ee_pose_action(used.tcp_pose(), OPEN))
    beside = environment("stack", 6)
    used.reset(12)
    assert np.array_equal(fresh.state(), used.state())
    assert not np.array_equal(fresh.state(), beside.state())


def test_cubes_lie_anywhere_in_the_d1_range() -> None:
    positions = np.stack([environment("stack", seed).object_pose("cube_a")[0][:2] for seed in range(40)])
    offset = positions - [0.56, 0.0]
    assert np.abs(offset).max() <= 0.2005
    assert (offset.max(0) > 0.12).all()
    assert (offset.min(0) < -0.12).all()


def test_the_yaw_of_a_cube_is_known_up_to_its_symmetry() -> None:
    for seed in range(20):
        rotation = environment("stack", seed).object_pose("cube_b")[1]
        assert abs(np.arctan2(rotation[1, 0], rotation[0, 0])) <= np.pi / 4 + 1e-6


def test_the_tool_holds_a_commanded_pose() -> None:
    env = environment("lift", 0)
    position, rotation = env.tcp_pose()
    wanted = position + np.array([0.05, -0.05, 0.05])
    for _ in range(40):
        env.step(ee_pose_action((wanted, rotation), OPEN))
    assert np.linalg.norm(env.tcp_pose()[0] - wanted) < 2e-3
    assert np.rad2deg(geodesic_angle(env.tcp_pose()[1], rotation)) < 1.0


def test_a_degenerate_rotation_keeps_the_last_one() -> None:
    env, held = environment("lift", 0), environment("lift", 0)
    position, rotation = env.tcp_pose()
    turned = rotation @ np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    degenerate = np.concatenate([position, np.zeros(6), [OPEN]])
    for one, action in ((env, degenerate), (held, ee_pose_action((position, turned), OPEN))):
        one.step(ee_pose_action((position, turned), OPEN))
        one.step(action)
    assert np.array_equal(env.state(), held.state())


@pytest.mark.parametrize("action", [np.zeros(9), np.full(10, np.nan), np.zeros((1, 10))])
def test_an_action_that_is_not_ten_finite_numbers_is_refused(action: np.ndarray) -> None:
    with pytest.raises(SimulationError, match="10 finite numbers"):
        environment("lift", 0).step(action)


def test_wild_commands_leave_the_simulation_in_one_piece() -> None:
    env = environment("stack", 0)
    rng = np.random.default_rng(0)
    for _ in range(100):
        env.step(rng.normal(0, 1.0, 10))
    assert np.isfinite(env.state()).all()
    assert not env.diverged()


def test_a_simulation_that_blew_up_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    env = environment("lift", 0)
    env.data.qvel[:] = 1e12
    env.step(ee_pose_action(env.tcp_pose(), OPEN))
    assert env.diverged()
    assert list(tmp_path.iterdir()) == []  # no MUJOCO_LOG.TXT
    env.reset(0)
    assert not env.diverged()


def test_an_unknown_task_is_named_with_those_there_are() -> None:
    with pytest.raises(SimulationError, match=r"'juggle'; write the name of one of ours \(lift, stack"):
        find_task("juggle")
