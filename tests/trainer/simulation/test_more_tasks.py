"""The longer tasks and their experts: stack_three, can and square."""

import numpy as np
import pytest

from trainer.simulation.collect import attempt
from trainer.simulation.environment import OPEN, Environment, ee_pose_action
from trainer.simulation.observation import observation_widths
from trainer.simulation.recording import Attempt
from trainer.simulation.scene import load_scene
from trainer.simulation.script import Manner, Script, drawn_manner
from trainer.simulation.task import find_task

TASKS = ("stack_three", "can", "square")
SEEDS = range(500, 506)


def environment(name: str, seed: int) -> Environment:
    return Environment(load_scene(find_task(name)), seed)


@pytest.fixture(scope="module", params=TASKS)
def attempts(request: pytest.FixtureRequest) -> tuple[str, list[Attempt]]:
    return request.param, [attempt(find_task(request.param), seed) for seed in SEEDS]


def test_experts_succeed_well_within_the_limit(attempts: tuple[str, list[Attempt]]) -> None:
    name, made = attempts
    assert sum(one.success for one in made) >= len(made) - 1
    succeeded = [one for one in made if one.success]
    assert max(len(one.actions) for one in succeeded) < 0.8 * find_task(name).episode_limit
    for one in succeeded:
        speed = np.linalg.norm(np.diff(one.observations["tcp_position"], axis=0), axis=1) * 20
        assert speed.max() < 0.8
        assert np.linalg.norm(np.diff(one.actions[:, :3], axis=0), axis=1).max() * 20 < 0.6


def test_an_attempt_is_a_function_of_its_seed(attempts: tuple[str, list[Attempt]]) -> None:
    name, made = attempts
    again = attempt(find_task(name), SEEDS[-1])
    assert np.array_equal(again.states, made[-1].states)
    assert np.array_equal(again.actions, made[-1].actions)
    starts = np.stack([one.states[0] for one in made])
    assert len(np.unique(starts, axis=0)) == len(made)


def test_people_differ_in_pace_approach_and_pauses() -> None:
    manners = [drawn_manner(seed) for seed in range(1000)]
    assert manners[3] == drawn_manner(3)
    paces, heights = (np.array([getattr(one, name) for one in manners]) for name in ("pace", "height"))
    aside = np.array([one.aside for one in manners])
    still = np.array([one.hesitations for one in manners])
    assert (paces.min(), paces.max()) == pytest.approx((0.7, 1.1), abs=0.01)
    assert (heights.min(), heights.max()) == pytest.approx((0.8, 1.5), abs=0.01)
    assert np.abs(aside[:, :2]).max() == pytest.approx(0.02, abs=1e-3)
    assert not aside[:, 2].any()
    assert (still > 0).mean() == pytest.approx(0.25, abs=0.02)
    assert set(np.unique(still)) == {0, *range(2, 9)}


def test_hesitating_is_holding_the_command() -> None:
    script = Script(environment("can", 0), Manner(hesitations=(3, 0, 2)))
    held = [list(script.hesitate()) for _ in range(4)]
    assert [len(one) for one in held] == [3, 0, 2, 0]
    assert all(np.array_equal(action, held[0][0]) for one in held for action in one)


def test_observations_have_the_documented_widths(attempts: tuple[str, list[Attempt]]) -> None:
    name, made = attempts
    widths = {key: values.shape[1] for key, values in made[0].observations.items()}
    assert list(widths.items()) == list(observation_widths(find_task(name)).items())
    assert sum(widths.values()) == {"stack_three": 56, "can": 23, "square": 38}[name]


@pytest.mark.parametrize("name", TASKS)
def test_nothing_is_done_at_the_start(name: str) -> None:
    env = environment(name, 0)
    assert not env.succeeded()
    for _ in range(5):
        env.step(ee_pose_action(env.tcp_pose(), OPEN))
        assert not env.succeeded()


def test_two_stacked_cubes_are_not_three() -> None:
    """Success begins with cube C on cube A and the gripper open, not when A is on B."""
    made = attempt(find_task("stack_three"), SEEDS[0])
    assert made.success
    after = int(np.argmax(made.succeeded)) + 1
    heights = [made.observations[f"cube_{name}_position"][:, 2] + 0.112 for name in "abc"]  # above the table
    np.testing.assert_allclose([height[after] for height in heights], [0.07, 0.025, 0.11], atol=8e-3)
    assert made.observations["finger_position"][after].sum() > 0.04
    assert (np.abs(heights[0][:after] - 0.07) < 8e-3).sum() > 50  # it lay on B for long before


def test_the_three_cubes_lie_anywhere_in_the_d1_range() -> None:
    names = ("cube_a", "cube_b", "cube_c")
    places = [[environment("stack_three", seed).object_pose(name)[0][:2] for name in names] for seed in range(40)]
    offset = np.array(places) - [0.56, 0.0]
    assert np.abs(offset).max() <= 0.2005
    assert (offset.max(0) > 0.12).all()
    assert (offset.min(0) < -0.12).all()
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.linalg.norm(offset[:, a] - offset[:, b], axis=1).min() > 0.05


def test_cans_stand_anywhere_in_their_bin_and_have_no_yaw() -> None:
    poses = [environment("can", seed).object_pose("can") for seed in range(40)]
    # In the world the bin's middle is at (0.1, -0.25), and the arm's base at (-0.5, -0.1, 0.912).
    offset = np.array([position for position, _ in poses]) - [0.6, -0.15, -0.052]
    assert (np.abs(offset) < [0.12, 0.17, 2e-3]).all()
    assert (np.ptp(offset[:, :2], axis=0) > [0.18, 0.26]).all()
    for _, rotation in poses:
        np.testing.assert_allclose(rotation, np.eye(3), atol=0.02)


def test_nut_and_peg_are_anywhere_in_the_d2_range() -> None:
    poses = [[environment("square", seed).object_pose(name) for name in ("nut", "peg")] for seed in range(40)]
    offset = np.array([[pose[0][:2] for pose in pair] for pair in poses]) - [0.56, 0.0]
    assert np.abs(offset).max() <= 0.255
    assert (offset.max(0) > 0.17).all()
    assert (offset.min(0) < -0.17).all()
    assert np.linalg.norm(offset[:, 0] - offset[:, 1], axis=1).min() > 0.165
    for _, (_, rotation) in poses:
        assert abs(np.arctan2(rotation[1, 0], rotation[0, 0])) <= np.pi / 4 + 1e-6
    assert max(np.arctan2(nut[1][1, 0], nut[1][0, 0]) for nut, _ in poses) > np.pi / 2


def test_the_peg_stands_where_it_was_put() -> None:
    made = attempt(find_task("square"), SEEDS[0])
    assert made.success
    peg = np.concatenate([made.observations["peg_position"], made.observations["peg_rotation_6d"]], axis=1)
    assert np.abs(peg - peg[0]).max() < 5e-4
    nut_to_peg = made.observations["nut_to_peg"][-1]
    assert np.abs(nut_to_peg[:2]).max() < 0.008
    assert nut_to_peg[2] > 0.0


def test_episodes_of_one_scene_have_pegs_of_their_own() -> None:
    first, alone = environment("square", 1), environment("square", 1)
    other = environment("square", 2)
    before = first.object_pose("peg")[0]
    other.step(ee_pose_action(other.tcp_pose(), OPEN))
    first.step(ee_pose_action(first.tcp_pose(), OPEN))
    assert np.abs(first.object_pose("peg")[0] - before).max() < 1e-6
    assert np.linalg.norm(other.object_pose("peg")[0] - before) > 0.01
    alone.step(ee_pose_action(alone.tcp_pose(), OPEN))
    assert np.array_equal(first.state(), alone.state())
