"""Relative actions, from windows of both stages to what a policy answers in the base frame."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headstart_client import PolicyClient, PolicyError
from shared.errors import ConfigError, RequestError
from shared.rotation import matrix_to_rot6d, rot6d_to_matrix, rotvec_to_matrix
from tests.trainer.example import HEADS, make_dataset, make_demonstrations, training
from trainer.config import ActionName, AdaptConfig, PretrainConfig, Stage1Condition
from trainer.data.demonstrations.episode import Demonstrations
from trainer.data.normalization import ActionNormalizer
from trainer.data.relative_actions import absolute, relative
from trainer.data.resampling import resample
from trainer.data.trajectories.joined_batches import stage1_batches
from trainer.data.trajectories.joined_datasets import JoinedDatasets
from trainer.data.trajectories.relative_batches import RelativeBatches, distances_of
from trainer.deployment.export import export_policy
from trainer.deployment.policy import Policy
from trainer.deployment.serving.messages import read_map
from trainer.deployment.serving.served_policy import ServedPolicy
from trainer.evaluation.results import evaluate
from trainer.poses import compose, invert
from trainer.progress import silent
from trainer.stages.adapt import adapt
from trainer.stages.adaptation import Adaptation
from trainer.stages.pretrain import pretrain
from trainer.training.checkpoint import load_checkpoint, read_info

CPU = torch.device("cpu")
WIDE = {
    "position": {"min": [-2.0] * 3, "max": [2.0] * 3},
    "joint_position": {"min": [-3.0] * 2, "max": [3.0] * 2},
}
HEAD = replace(HEADS["dp_mlp-adaln_zero"], relative_actions=True)
LAG = 2
"""Steps by which what is observed is behind what was commanded."""


def observed(action: ActionName = "ee_pose", *, seen: bool = True) -> Demonstrations:
    """Demonstrations with what was observed of the arm, which is also among what a policy sees where `seen`."""
    made = make_demonstrations(6, action)
    width = 9 if action == "ee_pose" else 2
    episodes = []
    for one in made.episodes:
        state = one.actions[np.maximum(np.arange(len(one.actions)) - LAG, 0), :width]
        shown = {"target": one.observations["target"], "arm": state} if seen else {"target": one.observations["target"]}
        known = {"tool": state} if action == "ee_pose" else {"joints": state}
        episodes.append(replace(one, observations=shown, **known))  # type: ignore[arg-type]
    widths = {"target": 3, "arm": width} if seen else {"target": 3}
    return replace(made, episodes=tuple(episodes), observation_widths=widths)


def poses(rng: np.random.Generator, *shape: int) -> np.ndarray:
    rotation = matrix_to_rot6d(rotvec_to_matrix(rng.normal(size=(*shape, 3))))
    return np.concatenate([rng.normal(size=(*shape, 3)), rotation, rng.choice([-1.0, 1.0], (*shape, 1))], -1)


def test_poses_are_those_in_the_tools_frame_and_back_and_stay_rotations() -> None:
    rng = np.random.default_rng(0)
    actions, state = poses(rng, 5, 16), poses(rng, 5)[:, :9]
    made = relative(torch.from_numpy(actions), torch.from_numpy(state), "ee_pose")
    for robot in range(5):
        current = state[robot, :3], rot6d_to_matrix(state[robot, 3:])
        for step in range(16):
            position, rotation = compose(
                invert(current), (actions[robot, step, :3], rot6d_to_matrix(actions[robot, step, 3:9]))
            )
            assert np.abs(made[robot, step, :3].numpy() - position).max() < 1e-12
            assert np.abs(made[robot, step, 3:9].numpy() - matrix_to_rot6d(rotation)).max() < 1e-12
    assert np.array_equal(made[..., 9].numpy(), actions[..., 9])
    back = absolute(made, torch.from_numpy(state), "ee_pose").numpy()
    assert np.abs(back - actions).max() < 1e-12
    # What a head gives is no rotation; what comes back is one.
    noisy = absolute(made + 0.1 * torch.from_numpy(rng.normal(size=made.shape)), torch.from_numpy(state), "ee_pose")
    matrices = rot6d_to_matrix(noisy[..., 3:9].numpy())
    assert np.abs(noisy[..., 3:9].numpy() - matrix_to_rot6d(matrices)).max() < 1e-12
    joints = torch.from_numpy(rng.normal(size=(4, 16, 8)))
    offsets = relative(joints, joints[:, 0, :-1], "joint_position")
    assert float(offsets[:, 0, :-1].abs().max()) == 0
    assert torch.equal(offsets[..., -1], joints[..., -1])
    assert torch.allclose(absolute(offsets, joints[:, 0, :-1], "joint_position"), joints, atol=1e-15)


@pytest.mark.parametrize("condition", ["endpoints", "joint_position"])
@pytest.mark.parametrize("action", ["ee_pose", "joint_position"])
def test_stage_1s_windows_are_relative_to_their_first_state(
    tmp_path: Path, action: ActionName, condition: Stage1Condition
) -> None:
    config = PretrainConfig(replace(HEAD, action=action), training(1), condition, validation_share=0.3)
    data = JoinedDatasets.of([make_dataset(tmp_path / "data")])
    greatest = np.abs(distances_of(data.sources, config)).max(0)
    name = "relative_position" if action == "ee_pose" else "relative_joint_position"
    half = [1.0, 1.5, 2.0] if action == "ee_pose" else [3.0, 4.0]
    normalizer = ActionNormalizer({**WIDE, name: {"min": [-one for one in half], "max": half}}, action)
    plain, other = (stage1_batches(data, tmp_path / "decoded", normalizer, config, CPU) for _ in range(2))
    stream = RelativeBatches(other, normalizer, config, CPU)
    assert stream.condition_dim == plain.condition_dim
    for _ in range(3):
        before, after = plain.next(lambda text: None), stream.next(lambda text: None)
        actions = torch.from_numpy(normalizer.denormalize(before.actions.numpy()))
        expected = relative(actions, actions[:, 0, :-1], action)
        found = normalizer.of_relative().denormalize(after.actions.numpy())
        assert np.abs(found - expected.numpy()).max() < 2e-6
        assert np.abs(found[:, 0, : 3 if action == "ee_pose" else 2]).max() < 1e-6
        assert (np.abs(expected[..., : len(greatest)].numpy()).max((0, 1)) <= 2 * greatest.max() + 1e-6).all()
        if condition == "endpoints":
            assert torch.equal(after.condition, after.actions[:, [0, 15]].flatten(1))
        else:
            assert torch.equal(after.condition, before.condition)
    again = RelativeBatches(plain, normalizer, config, CPU)
    again.restore(stream.state())
    assert torch.equal(again.next(lambda text: None).actions, stream.next(lambda text: None).actions)
    assert stream.motion_windows().shape[1:] == (16, normalizer.action_dim)


@pytest.fixture(scope="module")
def stage1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stage1")
    config = PretrainConfig(HEAD, training(3), validation_share=0.2, validation_windows=8)
    # Rows of the example's are steps at random, and short: its own range would be narrow.
    ranges = {**WIDE, "relative_position": {"min": [-1.5] * 3, "max": [1.5] * 3}}
    pretrain(folder / "run", make_dataset(folder / "data"), config, action_range=ranges)
    return folder / "run"


def test_a_policy_answers_in_the_base_frame(stage1: Path, tmp_path: Path) -> None:
    config = AdaptConfig(head=HEAD, training=training(4, log_every=1), validation_windows=8)
    path = adapt(tmp_path / "run", observed(), config, stage1=stage1)
    info, first = read_info(path), read_info(stage1)
    assert info.head.relative_actions
    assert info.state_columns == list(range(3, 12))
    assert info.action_range == first.action_range
    assert info.motion_basis == first.motion_basis
    assert load_checkpoint(path)[1].backbone == first.backbone
    policy = Policy.load(path, precision="fp32")
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(3, 2, 12)).astype(np.float32)
    seen[:, :, 3:] = poses(rng, 3, 2)[..., :9]
    answer = policy.predict(seen)
    # It sees its state; told the same, it says the same.
    assert np.array_equal(policy.predict(seen, state=seen[:, 1, 3:]), answer)
    rotations = rot6d_to_matrix(answer[..., 3:9])
    assert np.abs(rotations @ np.swapaxes(rotations, -1, -2) - np.eye(3)).max() < 1e-5
    assert np.abs(matrix_to_rot6d(rotations) - answer[..., 3:9]).max() < 1e-6
    # From elsewhere, the same observation is answered by the same motion, there.
    moved = poses(rng, 3)[:, :9].astype(np.float32)
    other = policy.predict(seen, state=moved)
    ours, theirs = (
        relative(torch.from_numpy(one), torch.from_numpy(state), "ee_pose")
        for one, state in ((answer, seen[:, 1, 3:]), (other, moved))
    )
    assert float((ours - theirs).abs().max()) < 1e-4
    # The prefix is of the base frame, too: the answer begins with its last action.
    prefix = np.full((3, 2, 10), np.nan, np.float32)
    prefix[1] = answer[1, :1] + 0.02
    prefix[1, :, 9] = -1
    held = Policy.load(path, precision="fp32", directions=0).predict(seen, prefix=prefix)
    assert np.abs(held[1, 0, :3] - prefix[1, 1, :3]).max() < 1e-5
    assert held[1, 0, 9] == -1
    export_policy(path, tmp_path / "exported")
    described = json.loads((tmp_path / "exported" / "policy.json").read_text())
    assert (described["relative_actions"], described["state_columns"]) == (True, list(range(3, 12)))
    assert np.allclose(described["action_scaling"]["scale"], [1.5] * 3 + [1] * 7)


@pytest.mark.parametrize("action", ["ee_pose", "joint_position"])
def test_a_state_that_is_not_seen_has_to_be_told(tmp_path: Path, action: ActionName) -> None:
    config = AdaptConfig("normal", replace(HEAD, action=action), training(2), validation_windows=8)
    demonstrations = observed(action, seen=False)
    path = adapt(tmp_path, demonstrations, config, action_range=WIDE)
    info = read_info(path)
    assert info.state_columns is None
    dim = 9 if action == "ee_pose" else 2
    # Half as much again as the greatest distance of a window's action from what was observed at its step.
    name = "relative_position" if action == "ee_pose" else "relative_joint_position"
    greatest = 0.0
    for one in demonstrations.episodes:
        for t in range(len(one.actions)):
            window = one.actions[np.clip(np.arange(t - 1, t + 15), 0, len(one.actions) - 1)]
            if action == "ee_pose":
                assert one.tool is not None
                greatest = max(greatest, float(np.linalg.norm(window[:, :3] - one.tool[t, :3], axis=1).max()))
            else:
                assert one.joints is not None
                greatest = max(greatest, float(np.abs(window[:, 0] - one.joints[t, 0]).max()))
    assert abs(info.action_range[name]["max"][0] - 1.5 * greatest) < 1e-6
    policy = Policy.load(path, precision="fp32")
    seen = np.zeros((2, 2, 3), np.float32)
    with pytest.raises(
        ConfigError, match=rf"relative to the arm's state, which it does not see: give `state`, \(2, {dim}\)"
    ):
        policy.predict(seen)
    for wrong in (np.zeros((2, dim + 1), np.float32), np.full((2, dim), np.nan, np.float32)):
        with pytest.raises(ConfigError, match="the state has shape"):
            policy.predict(seen, state=wrong)
    state = np.array([[0.3, 0.1, 0.9, 1, 0, 0, 0, 1, 0]] * 2, np.float32)[:, :dim]
    told = policy.predict(seen, state=state)
    policy._warm_up(2)
    with pytest.raises(ConfigError, match="relative to the arm's state, which it does not see, and rollouts do not"):
        evaluate(tmp_path, "no_such_task", 1, 0, silent)
    with about_a_policy(ServedPolicy("arm", policy, robots=4, decay=None).describe()) as url:
        for which in (None, "arm"):
            with pytest.raises(
                PolicyError, match="relative to the arm's state, which it does not see, and this client"
            ):
                PolicyClient(url, policy=which)
    message = {"observations": {"target": seen.tolist()}, "current_state": state.tolist()}
    asked = read_map(message, info, 2)
    assert np.array_equal(policy.predict(asked.low_dim, asked.pictures, asked.prefix, asked.state), told)
    with pytest.raises(RequestError, match="not valid") as missing:
        read_map({"observations": message["observations"]}, info, 2)
    assert "/current_state" in str(missing.value.problems)


@contextmanager
def about_a_policy(about: dict[str, Any]) -> Iterator[str]:
    """The URL of a server that says what a policy is, and no more."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(about if self.path == "/v1/policy" else {"policies": [about]}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_relative_and_absolute_are_not_mixed(stage1: Path, tmp_path: Path) -> None:
    config = AdaptConfig(head=replace(HEAD, relative_actions=False), training=training(1))
    with pytest.raises(ConfigError, match="Stage 1's actions are relative to the current state, this run's absolute"):
        adapt(tmp_path, observed(), config, stage1=stage1)
    assert not (tmp_path / "config.json").exists()
    normal = AdaptConfig("normal", HEAD, training(1))
    with pytest.raises(ConfigError, match=r"what is observed of the arm, which data/demo_0 of reach does not tell"):
        adapt(tmp_path, make_demonstrations(), normal, action_range=WIDE)
    narrow = {**WIDE, "relative_position": {"min": [-0.01] * 3, "max": [0.01] * 3}}
    with pytest.raises(ConfigError, match="demonstrations of reach leave action_range: relative x is"):
        Adaptation.checked(observed(), normal, None, narrow, None, None)
    absolute_run = adapt(
        tmp_path / "absolute",
        observed(),
        replace(config, mode="normal", head=HEADS["dp_mlp-adaln_zero"]),
        action_range=WIDE,
    )
    with pytest.raises(ConfigError, match="this policy's actions are absolute; leave the state out"):
        Policy.load(absolute_run).predict(np.zeros((1, 2, 12), np.float32), state=np.zeros((1, 9), np.float32))


def test_observed_joints_are_resampled() -> None:
    slow = resample(observed("joint_position"), 40.0)
    joints, before = slow.episodes[0].joints, observed("joint_position").episodes[0].joints
    assert joints is not None
    assert before is not None
    assert np.allclose(joints[::2], before)
    assert np.allclose(joints[1::2], (before[1:] + before[:-1]) / 2, atol=1e-6)
