"""What policies see in closed loop is what demonstrations of them show: numbers by name, and pictures to the bit."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from shared.errors import ConfigError
from tests.trainer.simulation.own_tasks import POINT, Line
from tests.trainer.simulation.test_with_cameras import drawable
from trainer.evaluation.policy_inputs import policy_inputs
from trainer.model.observation import Camera
from trainer.simulation.collect import collect
from trainer.simulation.robosuite_env import make_robosuite
from trainer.simulation.robosuite_task import RobosuiteTask, SceneObject
from trainer.simulation.rollout import rollout
from trainer.simulation.task import find_task, load_task
from trainer.simulation.watched_episode import Part, Seen
from trainer.simulation.with_cameras import write_with_cameras

ROBOT = {"obs/tcp_position": 3, "obs/tcp_rotation_6d": 6, "obs/finger_position": 2}


def policy(**changes: Any) -> Any:
    """What a checkpoint says of a policy that sees the robot itself and a camera."""
    about: dict[str, Any] = {
        "head": SimpleNamespace(action="ee_pose"),
        "normalizer": SimpleNamespace(action_dim=10),
        "rate_hz": 20.0,
        "observation_widths": ROBOT,
        "cameras": {"obs/agentview_image": Camera((32, 48), (32, 48))},
        "picture_steps": 2,
        "task": "lift",
    }
    return SimpleNamespace(**(about | changes))


@drawable
def test_pictures_are_those_of_the_demonstrations(tmp_path: Path) -> None:
    demos = collect("lift", tmp_path / "lift.hdf5", successes=1)
    write_with_cameras(demos, tmp_path / "seen.hdf5", ["agentview"], (32, 48))
    with h5py.File(tmp_path / "seen.hdf5") as file:
        shown, tool = file["data/demo_0/obs/agentview_image"][:], file["data/demo_0/obs/tcp_position"][:]
    with h5py.File(demos) as file:
        seed = int(file["data/demo_0"].attrs["seed"])
    task = find_task("lift")
    seen = policy_inputs(policy(), task)
    asked: list[tuple[np.ndarray, np.ndarray]] = []

    def still(observations: np.ndarray, fixed: np.ndarray, pictures: dict[str, np.ndarray]) -> np.ndarray:
        asked.append((observations[0], pictures["obs/agentview_image"][0]))
        hold = np.concatenate([observations[:, -1, :9], -np.ones((1, 1))], axis=1)
        return np.repeat(hold[:, None], 4, axis=1)

    rollout(task, still, [seed], seen=seen, episode_limit=9)
    assert [one.shape for pair in asked for one in pair] == [(2, 11), (2, 32, 48, 3)] * 3
    observations, pictures = asked[0]
    assert np.array_equal(observations[1, :3], tool[0])
    assert np.array_equal(pictures[0], shown[0])
    assert np.array_equal(pictures[1], shown[0])
    # Later ones are of the two last steps; the hand holds its place.
    assert np.abs(asked[1][1][1].astype(int) - shown[0]).mean() < 2


@pytest.mark.parametrize(("steps", "picture_steps", "draws"), [(3, 1, 3), (1, 3, 7)])
def test_pictures_are_drawn_of_the_steps_in_which_they_are_seen(
    steps: int, picture_steps: int, draws: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a policy that is asked before steps 0, 4 and 8; the first observation stands for those before it."""
    way, drawn, asked = (0.02 * np.arange(13)).astype(np.float32), list[float](), list[tuple[np.ndarray, np.ndarray]]()

    def pictures(line: Line, sizes: dict[str, tuple[int, int]]) -> dict[str, np.ndarray]:
        drawn.append(line.joint)
        return {name: np.full((*size, 3), round(100 * line.joint), np.uint8) for name, size in sizes.items()}

    def along(observations: np.ndarray, fixed: np.ndarray, shown: dict[str, np.ndarray]) -> np.ndarray:
        asked.append((observations[0], shown["eye"][0, :, 0, 0, 0]))
        now = 4 * (len(asked) - 1)
        return np.stack([way[now + 1 : now + 5], np.zeros(4)], axis=-1)[None]

    monkeypatch.setattr(Line, "pictures", pictures)
    seen = Seen((Part("joint"),), {"eye": "front"}, {"front": (48, 48)}, picture_steps)
    task = load_task("tests.trainer.simulation.own_tasks:POINT")
    (result,) = rollout(task, along, [10], seen=seen, n_obs_steps=steps, episode_limit=9)
    assert (result.steps, len(asked), len(drawn)) == (9, 3, draws)
    for now, (observations, shown) in zip((0, 4, 8), asked, strict=True):
        assert np.array_equal(observations[:, 0], way[np.maximum(np.arange(now - steps + 1, now + 1), 0)])
        assert shown.tolist() == [2 * max(step, 0) for step in range(now - picture_steps + 1, now + 1)]


@drawable
def test_a_task_that_moves_what_is_fixed_in_its_model_is_drawn_as_it_is() -> None:
    """robosuite's Door stands elsewhere in each episode, which no joint says."""
    door = RobosuiteTask("door", "Door", _door, (SceneObject("door", "Door_main"),), 100)
    views = []
    for seed in (0, 1, 0):
        episode = door.begin(seed)
        views.append((episode.object_pose("door")[0], episode.pictures({"frontview": (48, 48)})["frontview"]))
    assert np.array_equal(views[0][1], views[2][1])
    assert np.linalg.norm(views[0][0] - views[1][0]) > 0.005
    assert (views[0][1] != views[1][1]).mean() > 0.02


def _door() -> Any:
    return make_robosuite("Door")


def test_keys_and_cameras_are_found_by_their_names() -> None:
    lift = find_task("lift")
    seen = policy_inputs(policy(), lift)
    assert seen.parts == tuple(Part(key.removeprefix("obs/")) for key in ROBOT)
    assert (seen.cameras, seen.sizes) == ({"obs/agentview_image": "agentview"}, {"agentview": (32, 48)})
    assert (seen.n_picture_steps, policy_inputs(policy(picture_steps=1), lift).n_picture_steps) == (2, 1)
    some = policy_inputs(policy(observation_widths={"tcp_position[2]": 1, "cube_position": 3}, cameras={}), lift)
    assert some.parts == (Part("tcp_position", slice(2, 3)), Part("cube_position"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"head": SimpleNamespace(action="joint_position")},
            "takes 'ee_pose' actions, this policy's are 'joint_position'",
        ),
        ({"normalizer": SimpleNamespace(action_dim=8)}, "takes actions of 10 numbers, this policy's have 8"),
        ({"rate_hz": 50.0}, "acts at 50 Hz, task 'lift' at 20 Hz"),
        ({"observation_widths": {"tcp_position": 4}}, "trained on observations {'tcp_position': 4}, task 'lift' shows"),
        ({"observation_widths": {"obs/can_position": 3}}, "'can_position': 3}, task 'lift' shows .*adapted to 'lift'"),
        ({"cameras": {"obs/top_image": None}}, "sees the camera 'obs/top_image', task 'lift' has frontview, birdview"),
    ],
)
def test_a_policy_that_sees_something_else_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("'can_position'", "'obs/can_position'")):
        policy_inputs(policy(**changes), find_task("lift"))


def test_a_policy_of_another_task_is_told_which() -> None:
    with pytest.raises(ConfigError, match="task 'point' takes 'joint_position' actions"):
        policy_inputs(policy(), POINT)  # type: ignore[arg-type]
