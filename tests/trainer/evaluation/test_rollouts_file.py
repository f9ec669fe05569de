"""The file of rollouts for the page's player: its numbers are the rollouts'."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainer.simulation.test_rollout import reaching
from trainer.evaluation import rollouts_file
from trainer.evaluation.rollouts_file import RolloutsFile
from trainer.simulation.collect import attempt
from trainer.simulation.expert_attempt import attempt_of_expert
from trainer.simulation.reached import read_reached
from trainer.simulation.rollout import rollout
from trainer.simulation.task import EnvironmentFault, find_task

LIFT = find_task("lift")


def test_a_rollouts_numbers_are_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    followed, other = rollout(LIFT, reaching, [3, 4], followed={3}, n_action_steps=3)
    path = tmp_path / "deep" / "rollouts.json"
    file = RolloutsFile(path, LIFT, {"run": "reaching"})
    for result in (other, followed):
        file.add(result, attempt_of_expert(LIFT, result.seed) if result is followed else None)
    file.write()
    read = json.loads(path.read_text())
    about = {name: read[name] for name in ("format", "version", "task", "robot", "rate_hz", "policy", "left_out")}
    assert about == {
        "format": "headstart-rollouts", "version": 1, "task": "lift", "robot": "panda", "rate_hz": 20.0,
        "policy": {"run": "reaching"}, "left_out": [],
    }  # fmt: skip
    first, second = read["rollouts"]
    assert (first["seed"], first["success"], first["steps"]) == (3, True, followed.steps)
    assert (second["seed"], second["reached"], second["demonstrated"]) == (4, None, None)
    _same(first["commanded"]["ee_position"], followed.commands[:, :3])
    _same(first["commanded"]["ee_rotation_6d"], followed.commands[:, 3:9])
    assert [chunk["step"] for chunk in first["predicted"]] == list(range(0, followed.steps, 3))
    for chunk, answered in zip(first["predicted"], followed.chunks, strict=True):
        _same(chunk["ee_position"], answered[:, :3])
        _same(chunk["gripper"], answered[:, 9])

    # The same commands once more, and what the simulation says itself.
    environment, reached = LIFT.begin(3), first["reached"]
    for step in range(followed.steps + 1):
        _same(reached["ee_position"][step], environment.tcp_pose()[0])
        _same(reached["objects"]["cube"]["position"][step], environment.object_pose("cube")[0])
        if step < followed.steps:
            environment.step(followed.commands[step])
    _same(reached["joint_position"], followed.positions[:, :7])
    assert reached["gripper"] == first["commanded"]["gripper"] + first["commanded"]["gripper"][-1:]
    assert reached["objects"]["cube"]["position"][-1][2] > reached["objects"]["cube"]["position"][0][2] + 0.03

    # The demonstration is what the expert records from the same beginning, until it has succeeded.
    shown, recorded = first["demonstrated"], attempt(LIFT, 3)
    assert (shown["by"], shown["success"], shown["reached"]) == ("expert", True, True)
    steps = int(np.argmax(recorded.succeeded)) + 1
    _same(shown["joint_position"][:steps], recorded.states[:steps, 1:8])
    assert len(shown["joint_position"]) == steps + 1
    _same(shown["ee_position"][0], reached["ee_position"][0])

    # What doesn't fit is left out, by name.
    monkeypatch.setattr(rollouts_file, "LARGEST", path.stat().st_size - 1)
    file.write()
    assert path.stat().st_size < rollouts_file.LARGEST
    read = json.loads(path.read_text())
    assert ([one["seed"] for one in read["rollouts"]], read["left_out"]) == ([3], [4])


def _same(found: Any, expected: Any) -> None:
    """To what the file keeps of a number."""
    np.testing.assert_allclose(found, np.asarray(expected, np.float64), rtol=0, atol=1.1e-6)


class Telling:
    """An episode that tells what it is given."""

    def __init__(self, *told: dict[str, Any]) -> None:
        self._told = iter(told)

    def reached(self) -> dict[str, Any]:
        return next(self._told)


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"tool": np.zeros(3)}, r"reached has 'tool'; it may have joint_position, ee_position"),
        ({"object/cube/colour": np.zeros(3)}, r"reached has 'object/cube/colour'"),
        ({"ee_position": np.zeros(4)}, r"reached 'ee_position' has shape \(4,\), expected \(3,\)"),
        ({"joint_position": np.zeros((1, 6))}, r"reached 'joint_position' has shape \(1, 6\), expected \(joints,\)"),
        ({"joint_position": np.array([0, np.nan])}, r"reached 'joint_position' is \[0.0, nan\], which is not finite"),
        ({"ee_position": np.zeros(3)}, r"reached .*ee_position.*, after .*joint_position.* in the step before"),
    ],
)
def test_what_an_episode_tells_wrongly_is_named(told: dict[str, Any], fault: str) -> None:
    episode: Any = Telling({"joint_position": np.zeros(2)}, told)
    before = read_reached(episode)
    with pytest.raises(EnvironmentFault, match=fault):
        read_reached(episode, before)
