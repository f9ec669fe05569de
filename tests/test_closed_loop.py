"""Policies in the simulator through a real server and the executor: benchmarks.closed_loop, small."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks._closed_loop_episode import WAYS, episode
from benchmarks._policy_server import policy_server
from benchmarks.closed_loop import summaries
from headstart_client import PolicyClient
from tests.trainer.example import HEADS, training
from trainer.config import AdaptConfig
from trainer.data.demonstrations import read_demonstrations
from trainer.deployment.policy import Policy
from trainer.simulation.collect import collect
from trainer.simulation.rollout import rollout
from trainer.simulation.scene import Scene
from trainer.simulation.task import find_task
from trainer.stages.adapt import adapt

LIFT = find_task("lift")
DIRECT, AT_ONCE = WAYS[:2]
WIDE = {"position": {"min": [-1.0] * 3, "max": [1.0] * 3}}
Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that sees Lift, and has learned next to nothing."""
    folder = tmp_path_factory.mktemp("closed-loop")
    demonstrations = read_demonstrations(collect("lift", folder / "lift.hdf5", first_seed=40, successes=2))
    config = AdaptConfig(mode="random_body", head=HEADS["dp_mlp-adaln_zero"], training=training(30))
    adapt(folder / "run", demonstrations, config, action_range=WIDE)
    return folder / "run"


@pytest.fixture(scope="module")
def client(run: Path) -> Iterator[PolicyClient]:
    with policy_server(run, "--threads", "1") as url, PolicyClient(url) as found:
        yield found


def short(steps: int) -> Scene:
    """Lift, whose episodes end after so many control steps."""
    return Scene(replace(LIFT, episode_limit=steps))


def test_the_direct_loop_through_the_server_is_the_one_without_it(run: Path, client: PolicyClient) -> None:
    policy, scene = Policy.load(run), short(30)
    steps: dict[str, Any] = {"n_action_steps": policy.n_action_steps, "committed": 1}
    for seed in (3, 4):
        # One at a time, as behind the server: on some processors rounding depends on how many there are in a batch.
        (outcome,) = rollout(
            scene.task, lambda seen, fixed: policy.predict(seen, prefix=fixed), [seed], episode_limit=30, **steps
        )
        found = episode(scene, seed, client, DIRECT)
        assert (found["success"], found["steps"]) == (outcome.success, outcome.steps)
        # The commands, to the last bit: their jerk at the policy's rate.
        jerk = np.linalg.norm(np.diff(outcome.commands[:, :3].astype(np.float64), 3, axis=0), axis=1) * 20.0**3
        assert found["command_policy_rate_jerk_mean"] == float(f"{jerk.mean():.6g}")
        assert found["command_policy_rate_jerk_p99"] == float(f"{np.percentile(jerk, 99):.6g}")


def test_a_policy_behind_the_server_moves_the_arm_within_every_limit(client: PolicyClient) -> None:
    scene = short(24)
    for way in WAYS[1:]:
        first, again = (episode(scene, 5, client, way) for _ in range(2))
        assert first == again
        assert (first["commands"], first["violations"]) == (24 * 25, 0)


class Reaching:
    """Stands for a client: from where the cube and the tool are seen, or from what is committed, to the lifted cube."""

    def __init__(self) -> None:
        self.about: dict[str, Any] = {"n_obs_steps": 2, "n_action_steps": 8}

    def __call__(self, observation: Any, prefix: Array | None = None) -> Array:
        latest = {key: values[-1].astype(np.float64) for key, values in observation.items()}
        tool, cube, opening = latest["tcp_position"], latest["cube_position"], latest["finger_position"].sum()
        closed = opening < 0.05
        aside = np.linalg.norm((tool - cube)[:2])
        goal = cube + np.array([0.0, 0.0, 0.1 if closed else 0.0 if aside < 0.01 else 0.05])
        close = closed or np.linalg.norm(tool - cube) < 0.012
        committed = np.zeros((0, 10)) if prefix is None else prefix[1:]
        begin = committed[-1, :3] if len(committed) else tool
        far = max(float(np.linalg.norm(goal - begin)), 1e-9)
        # At most 1 cm a step.
        share = np.minimum(1.0, np.arange(1, 16 - len(committed)) * 0.01 / far)[:, None]
        free = np.empty((len(share), 10))
        free[:, :3] = begin + share * (goal - begin)
        cos, sin = latest["cube_rotation_6d"][0], -latest["cube_rotation_6d"][1]
        free[:, 3:9] = [cos, sin, 0.0, sin, -cos, 0.0]
        free[:, 9] = 1.0 if close else -1.0
        return np.concatenate([committed, free])


def test_the_cube_is_lifted_through_the_executor_whatever_the_latency() -> None:
    scene = Scene(LIFT)
    rows = {way: {seed: episode(scene, seed, Reaching(), way) for seed in (0,)} for way in WAYS}
    found = {way: sum(row["success"] for row in done.values()) for way, done in rows.items()}
    assert found == dict.fromkeys(WAYS, 1)
    assert sum(row.get("violations", 0) for done in rows.values() for row in done.values()) == 0
    rows[WAYS[2]] = {}
    figures = dict(zip([*WAYS[:2], *WAYS[3:]], summaries(rows), strict=True))
    at_once = figures[AT_ONCE]
    assert (at_once["successes"], at_once["against_direct"]["lost"], at_once["against_direct"]["won"]) == (1, 0, 0)
    # Nothing of that arm that waits is there to compare with.
    assert at_once["against_waiting"] is None
    assert figures[WAYS[3]]["against_waiting"]["episodes"] == 1
    less = at_once["against_direct"]["jerk_times_less"]
    assert min(less["command_jerk_mean"], less["command_jerk_p99"]) > 1000
    assert less["tool_jerk_mean"] > 3
    assert less["free_tool_jerk_mean"] > 10
    assert less["tool_jerk_mean"] == pytest.approx(figures[DIRECT]["tool_jerk_mean"] / at_once["tool_jerk_mean"], 1e-3)
