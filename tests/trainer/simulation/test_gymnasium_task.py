"""Gymnasium environments by their mapping files: one of ours, whose numbers are known, and gym-aloha."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gym_aloha.tasks.sim import BimanualViperXTask

from shared.errors import ConfigError, SimulationError
from tests.pages import ROOT
from tests.trainer.example import training
from tests.trainer.simulation.test_with_cameras import drawable
from trainer.commands import demonstrate
from trainer.config import AdaptConfig, HeadConfig
from trainer.data.demonstrations import read_demonstrations
from trainer.data.demonstrations.formats.frame_cache import FrameCache
from trainer.data.demonstrations.mapping.mapping_file import read_mapping
from trainer.deployment.policy import Policy
from trainer.evaluation.kept_rollouts import Keep
from trainer.evaluation.results import Way, Where, evaluate
from trainer.progress import silent
from trainer.simulation.gymnasium_task import GymnasiumTask
from trainer.simulation.isolated import open_task
from trainer.simulation.task import EnvironmentFault
from trainer.stages.adapt import adapt

TOOL: dict[str, Any] = {
    "name": "tool",
    "environment": {
        "id": "tests.trainer.simulation.own_gymnasium:own/Tool-v0",
        "arguments": {"render_mode": "rgb_array"},
        "rate_hz": 20.0,
        "episode_limit": 30,
        "success": "info.there",
        "expert": "tests.trainer.simulation.own_gymnasium:approach",
    },
    "observation": {"low_dim": {"x": "tool.at[0:1]", "goal": "goal"}, "cameras": {"eye": "eye"}},
    "action": {
        "space": "ee_pose",
        "mode": "delta",
        "delta_from": "state",
        "delta_axes": "base",
        "position": {"columns": "action[0:3]", "scale": 0.05},
        "rotation": {"columns": "action[3:6]", "encoding": "rotation_vector"},
        "gripper": {"columns": "action[6]", "open": 0.0, "closed": 1.0},
    },
    "state": {
        "position": {"columns": "tool.at"},
        "rotation": {"columns": "tool.turned", "encoding": "quat_wxyz"},
    },
}


def written(folder: Path, **changes: Any) -> Path:
    """A mapping file, with the entries of some tables changed."""
    content = {key: ({**TOOL[key], **value} if isinstance(value, dict) else value) for key, value in changes.items()}
    path = folder / "tool.json"
    path.write_text(json.dumps(TOOL | content))
    return path


def test_actions_reach_the_environment_in_its_numbers(tmp_path: Path) -> None:
    task = GymnasiumTask.read(written(tmp_path))
    assert (task.action, task.action_width, task.observation_widths) == ("ee_pose", 10, {"x": 1, "goal": 1})
    assert task.cameras == ("eye", "onlooker")
    episode, same = task.begin(3), task.begin(3)
    assert np.array_equal(episode.observation()["x"], same.observation()["x"])
    x = float(same.observation()["x"][0])
    same.step(np.array([0.4, 0, 0.3, 1, 0, 0, 0, 1, 0, 1.0]))
    assert same.observation()["x"] == pytest.approx(0.4, abs=1e-6)
    assert x < 0.2
    assert same.environment.unwrapped.at == pytest.approx([0.4, 0, 0.3], abs=1e-6)
    assert (same.environment.unwrapped.grip, same.succeeded(), same.over()) == (1.0, True, False)
    assert same.pictures({"eye": (8, 8), "onlooker": (8, 8)})["eye"].mean() == 80
    same.step(np.array([1.2, 0, 0.3, 1, 0, 0, 0, 1, 0, -1.0]))
    assert (same.succeeded(), same.over()) == (False, True)


@pytest.mark.parametrize(
    ("success", "expected"), [("reward >= 1", True), ("reward >= 2", False), ("terminated", False)]
)
def test_what_success_is_is_said_by_the_file(success: str, expected: bool, tmp_path: Path) -> None:
    episode = GymnasiumTask.read(written(tmp_path, environment={"success": success})).begin(0)
    assert not episode.succeeded()
    episode.step(np.array([0.4, 0, 0.3, 1, 0, 0, 0, 1, 0, 1.0]))
    assert episode.succeeded() is expected


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"environment": {"success": "done"}}, r'success: "done" says no success; write "info.is_success"'),
        ({"environment": {"id": "own/Nothing-v0"}}, r"gymnasium.make\('own/Nothing-v0'\) failed: .*written module:id"),
        ({"environment": {"arguments": {"wings": 2}}}, r"failed: TypeError: .*wings"),
        ({"environment": {"expert": "tests.pages:nothing"}}, r"tests.pages has no 'nothing'; it has all_pages, blocks"),
        ({"environment": {"rate": 3}}, r"environment\.rate: is no key that is known here"),
        ({"observation": {"low_dim": ["pixels"]}}, r"no 'pixels' to see; the environment shows eye, goal, tool.at"),
        ({"observation": {"low_dim": ["goal[1]"]}}, r"'goal\[1\]' asks for component 1; 'goal' has 1, from 0"),
        ({"observation": {"cameras": ["front"]}}, r"no 'front' to see"),
        ({"state": {"position": {"columns": "hand"}}}, r"no 'hand' to see"),
        ({"state": {"position": None, "rotation": None}}, r"state\.position is missing: mode 'delta' starts from"),
        ({"action": {"gripper": "none"}}, r"sets no 'action\[6\]'"),
        ({"action": {"label": "reached"}}, r"action"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, SimulationError), match=rf"tool\.json: .*{said}"):
        GymnasiumTask.read(written(tmp_path, **changes))


def test_an_environment_that_shows_less_than_its_space_says(tmp_path: Path) -> None:
    path = written(tmp_path, environment={"arguments": {"lies": True}})
    task = GymnasiumTask.read(path)
    assert task.cameras == ("eye",)
    episode = task.begin(0)
    with pytest.raises(EnvironmentFault, match="shows no 'eye', as its observation_space says it does"):
        episode.pictures({"eye": (8, 8)})
    with pytest.raises(EnvironmentFault, match="info has no 'there', which is to say success; it has nothing"):
        episode.succeeded()


def policy_of(demos: Path, run: Path, steps: int) -> Policy:
    read = read_demonstrations(demos, mapping=read_mapping(demos.with_suffix(".toml")), frames=FrameCache(run, 10**9))
    wide = {
        "position": {"min": [-1.0] * 3, "max": [1.0] * 3},
        "joint_position": {"min": [-4.0] * 14, "max": [4.0] * 14},
    }
    config = AdaptConfig(
        mode="normal", head=HeadConfig(size="tiny", action=read.action_space), training=training(steps), crop=1.0
    )
    adapt(run / "policy", read, config, action_range=wide)
    return Policy.load(run / "policy")


def test_demonstrated_learned_and_rolled_out_with_a_video(tmp_path: Path) -> None:
    """The files are the same whatever the number of processes; a policy sees what it was shown."""
    path, demos = written(tmp_path), tmp_path / "demos.hdf5"
    demonstrate.run(str(path), demos, successes=6, size=36)
    demonstrate.run(str(path), tmp_path / "again.hdf5", successes=6, size=36, workers=2)
    reads = [
        read_demonstrations(one, mapping=read_mapping(one.with_suffix(".toml")), frames=FrameCache(tmp_path, 10**9))
        for one in (demos, tmp_path / "again.hdf5")
    ]
    assert [read.number for read in reads] == [6, 6]
    for one, other in zip(reads[0].episodes, reads[1].episodes, strict=True):
        assert np.array_equal(one.actions, other.actions)
        assert all(np.array_equal(one.observations[key], other.observations[key]) for key in one.observations)
        eye = one.images["obs/eye"].at(np.arange(len(one.actions)))
        assert np.array_equal(eye, other.images["obs/eye"].at(np.arange(len(one.actions))))
        assert np.array_equal(eye[:, 0, 0, 0], (200 * one.observations["obs/x"][:, 0]).astype(np.uint8))
    policy = policy_of(demos, tmp_path, 2)
    assert policy.info.observation_widths == {"obs/x": 1, "obs/goal": 1}
    run, video = tmp_path / "policy", tmp_path / "videos"
    result = evaluate(
        run, str(path), 5, 7, silent, Way(sampling_steps=2), Where(environments=2, keep=Keep(video=video))
    )
    assert (result["task"], result["episodes"], result["sampling_steps"]) == ("tool", 5, 2)
    assert json.loads((run / "result-2-steps.json").read_text()) == result
    assert {one.name for one in video.iterdir()} == {f"tool-{seed}.mp4" for seed in (7, 8, 9, 10)}
    assert len((run / "rollouts-tool-2-steps.jsonl").read_text().splitlines()) == 5
    a_fault_is_told_and_tried_again(run, tmp_path)


def a_fault_is_told_and_tried_again(run: Path, folder: Path) -> None:
    rendered = {"render_mode": "rgb_array"}
    breaks = written(folder, environment={"arguments": {**rendered, "breaks_at": 8}})
    result = evaluate(run, str(breaks), 3, 7, silent)
    assert list(result["faults"]) == ["8"], result["faults"]
    assert re.match(r"rollout 8 of tool: begin: RuntimeError: the tool is lost \(.*own_gym", result["faults"]["8"])
    assert (result["episodes"], result["outcomes"][1]) == (3, 0)
    again = evaluate(run, str(written(folder)), 3, 7, silent)
    assert "faults" not in again
    assert [again["outcomes"][place] for place in (0, 2)] == [result["outcomes"][place] for place in (0, 2)]
    lies = written(folder, environment={"arguments": {**rendered, "lies": True}})
    with pytest.raises(SimulationError, match=r"no rollout of tool could be carried out; the first: .*shows no 'eye'"):
        evaluate(run, str(lies), 2, 50, silent)
    with pytest.raises(ConfigError, match="--video: task 'tool' has no camera 'onlooker'"):
        evaluate(
            run,
            str(written(folder, environment={"arguments": {}})),
            2,
            50,
            silent,
            where=Where(keep=Keep(video=folder)),
        )


@drawable
def test_aloha_as_it_is_is_rolled_out_with_its_camera(tmp_path: Path) -> None:
    """Its own pictures, 480 x 640: few steps, of a policy that has learned nothing."""
    with open_task(str(ROOT / "examples" / "tasks" / "aloha.toml")) as task:
        assert (task.action, task.action_width, task.rate_hz, task.robot) == ("joint_position", 15, 50.0, "aloha")
        assert (task.observation_widths, task.cameras[0]) == ({"observation.state": 14}, "observation.images.top")
        episode, again = task.begin(3), task.begin(3)
        state = episode.observation()["observation.state"]
        np.testing.assert_allclose(state[:6], [0, -0.96, 1.16, 0, -0.3, 0], atol=1e-6)
        picture = episode.pictures({"observation.images.top": (84, 84)})["observation.images.top"]
        assert picture.shape == (480, 640, 3)
        assert picture.dtype == np.uint8
        red = picture.astype(int)
        assert ((red[..., 0] - red[..., 1:].max(-1)) > 60).sum() > 50
        assert np.array_equal(state, again.observation()["observation.state"])
        goal = np.append(state, -1.0)
        goal[7] += 0.2
        for _ in range(3):
            episode.step(goal)
        moved = episode.observation()["observation.state"] - state
        assert moved[7] > 0.05
        assert np.abs(moved[:7]).max() < 0.01
        assert not episode.succeeded()
        again.close()
        episode.close()


def test_the_expert_for_aloha_lifts_the_cube(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the physics, without the three pictures that gym-aloha draws at every step."""
    nothing = {"top": np.zeros((480, 640, 3), np.uint8)}
    monkeypatch.setattr(
        BimanualViperXTask, "get_observation", lambda self, physics: {"qpos": self.get_qpos(physics), "images": nothing}
    )
    task = GymnasiumTask.read(ROOT / "examples" / "tasks" / "aloha.toml")
    assert task.expert is not None
    for seed in range(3):
        episode, steps = task.begin(seed), 0
        for action in task.expert(episode):
            episode.step(action)
            steps += 1
            if episode.succeeded():
                break
        assert episode.succeeded(), seed
        assert 95 < steps < 110
