"""Policies that see other steps in pictures than in numbers, from training to whoever asks them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from openpi_client.websocket_client_policy import WebsocketClientPolicy
from torch import Tensor
from torch.nn import functional as F

from headstart_client import PolicyClient, PolicyError
from shared.errors import ConfigError
from tests.trainer.deployment.test_export import differences, run_script
from tests.trainer.example import HEADS, RANGE, make_demonstrations, training
from tests.trainer.policies import seen_by_a_camera, serving
from trainer import tensor_file
from trainer.config import AdaptConfig
from trainer.data.normalization import ActionNormalizer
from trainer.deployment.export import export_policy
from trainer.deployment.lerobot_files import LeRobotNames, lerobot_files
from trainer.deployment.policy import Policy, _hash
from trainer.deployment.publishing.card import card
from trainer.json_lines import read_lines
from trainer.model.action_head import ActionHead
from trainer.model.conditioning import TokenConditioning
from trainer.model.diffusion import sampling_steps
from trainer.stages.adapt import adapt
from trainer.stages.demonstration_batches import DemonstrationBatches
from trainer.stages.frozen_vision import FrozenVision
from trainer.training.checkpoint import KIND, build_head, find_checkpoint, load_checkpoint, read_info

RNG = np.random.default_rng(0)
SEEN = seen_by_a_camera(make_demonstrations())
MLP, ATTENTION = HEADS["dp_mlp-adaln_zero"], HEADS["dp_t-cross_attn"]
ONE_STEP = training(1, batch_size=2, threads=1)
EQUAL = AdaptConfig("random_frozen", MLP, ONE_STEP, 4, observation_noise=0.1, color_jitter=(0.1, 0.1, 0.1, 0.1))
CONFIGS = {
    # One picture and three steps of numbers, as tokens; three pictures and two steps, as one vector; two of both.
    "3-1": replace(EQUAL, mode="normal", head=replace(ATTENTION, n_obs_steps=3), n_picture_steps=1),
    "2-3": replace(EQUAL, n_picture_steps=3),
    "2-2": replace(EQUAL, training=replace(ONE_STEP, steps=2, log_every=1)),
}
LOSSES = [1.3601396083831787, 1.3582842350006104, 1.4647881984710693]
"""Of "2-2" before there were two histories: of its steps, and on held-out windows."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("histories")
    for name, config in CONFIGS.items():
        adapt(folder / name, SEEN, config, action_range=RANGE)
    return {name: folder / name for name in CONFIGS}


def observed(policy: Policy, robots: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """What such a policy may see."""
    numbers = RNG.uniform(-1, 1, (robots, policy.n_obs_steps, 9)).astype(np.float32)
    return numbers, {"front": RNG.integers(0, 256, (robots, policy.n_picture_steps, 40, 44, 3), np.uint8)}


def features_by_hand(head: ActionHead, numbers: Tensor, crops: Tensor) -> Tensor:
    """What the backbone is conditioned by, of scaled (n, steps, 9) and crops (n, steps, height, width, 3)."""
    conditioning, kinds = head.conditioning, [numbers]
    assert conditioning.vision is not None
    (camera,) = conditioning.vision.cameras
    kinds.insert(0, camera(crops.flatten(0, 1)).view(*crops.shape[:2], 64))
    ages = range(max(len(kind[0]) for kind in kinds) - 1, -1, -1)
    if isinstance(conditioning, TokenConditioning):
        nothing = [torch.zeros_like(kind[:, 0]) for kind in kinds]
        steps = [
            [kind[:, -1 - age] if age < len(kind[0]) else no for kind, no in zip(kinds, nothing, strict=True)]
            for age in ages
        ]
        tokens: Tensor = conditioning.encoder[1](torch.stack([torch.cat(step, 1) for step in steps], 1))  # type: ignore[index]
        return tokens
    vector: Tensor = conditioning.encoder(
        torch.cat([k[:, -1 - age] for age in ages for k in kinds if age < len(k[0])], 1)
    )
    return vector


@pytest.mark.parametrize(("steps", "picture_steps"), [(3, 1), (1, 3)])
@pytest.mark.parametrize("head", [MLP, ATTENTION])
def test_the_loss_is_that_of_a_condition_made_by_hand(
    head: Any, steps: int, picture_steps: int, runs: dict[str, Path]
) -> None:
    torch.manual_seed(0)
    shape = replace(head, n_obs_steps=steps)
    made = build_head(replace(read_info(runs["2-2"]), head=shape, n_picture_steps=picture_steps, backbone=None)).eval()
    for weight in made.conditioning.projection.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    numbers, crops = torch.randn(2, steps, 9), torch.randint(0, 256, (2, picture_steps, 36, 40, 3), dtype=torch.uint8)
    noisy, noise, timesteps = torch.randn(2, 16, 10), torch.randn(2, 16, 10), torch.tensor([3, 70])
    with torch.no_grad():
        features = features_by_hand(made, numbers, crops)
        signals = made.conditioning(made.backbone.time_encoder(timesteps), features)
        wanted = F.mse_loss(made.backbone(noisy, signals), noise)
        assert torch.equal(F.mse_loss(made(noisy, timesteps, numbers.flatten(1), (crops,)), noise), wanted)
        # Every step of both is seen.
        for step in range(steps):
            changed = numbers + 0.1 * (torch.arange(steps) == step)[:, None]
            assert F.mse_loss(made(noisy, timesteps, changed.flatten(1), (crops,)), noise) != wanted
        for step in range(picture_steps):
            dark = crops * (torch.arange(picture_steps) != step)[:, None, None, None].byte()
            assert F.mse_loss(made(noisy, timesteps, numbers.flatten(1), (dark,)), noise) != wanted


@pytest.mark.parametrize("name", CONFIGS)
def test_the_actions_are_those_of_a_condition_made_by_hand(name: str, runs: dict[str, Path]) -> None:
    policy, (head, info) = Policy.load(runs[name], precision="fp32", directions=0), load_checkpoint(runs[name])
    assert (policy.n_obs_steps, policy.n_picture_steps) == tuple(map(int, name.split("-")))
    numbers, pictures = observed(policy, 3)
    crops = info.cameras["front"].center(pictures["front"])
    keys = np.array([_hash(one, np.ascontiguousarray(crop)) for one, crop in zip(numbers, crops, strict=True)])
    x = torch.from_numpy(policy._noise(keys, 0))
    with torch.no_grad():
        features = features_by_hand(head, info.scaling.apply(torch.from_numpy(numbers)), torch.from_numpy(crops.copy()))
        for step in sampling_steps():
            time = head.backbone.time_encoder(torch.tensor([step.timestep] * 3))
            x0 = step.denoised(x, head.backbone(x, head.conditioning(time, features)), "epsilon")
            x = step.next(x, x0, None)
    wanted = info.normalizer.denormalize(x.numpy())[:, info.head.n_obs_steps - 1 :]
    # Rotations are made orthonormal afterwards.
    assert np.abs(policy.predict(numbers, pictures) - wanted)[..., [0, 1, 2, 9]].max() < 1e-5
    with pytest.raises(ConfigError, match=rf"this policy sees uint8 \(3, {policy.n_picture_steps}, height"):
        policy(numbers, {"front": np.zeros((3, 4, 40, 44, 3), np.uint8)})
    # As it is asked before it is compiled.
    policy._warm_up(2)


def test_without_the_setting_all_is_as_before(runs: dict[str, Path], tmp_path: Path) -> None:
    lines = read_lines(runs["2-2"] / "metrics.jsonl")
    losses = [value for line in lines for name, value in line.items() if name in ("loss", "validation_loss")]
    assert losses == pytest.approx(LOSSES, rel=3e-6)
    # A checkpoint of an earlier release does not tell.
    path = find_checkpoint(runs["2-2"])
    tensors, metadata = tensor_file.read(path, KIND)
    assert metadata.pop("n_picture_steps") is None
    tensor_file.write(tmp_path / "earlier.safetensors", tensors, metadata)
    (backbone,) = (runs["2-2"] / "backbones").iterdir()
    policy = Policy.load(path)
    numbers, pictures = observed(policy, 2)
    earlier = Policy.load(tmp_path / "earlier.safetensors", backbone=backbone)
    assert np.array_equal(earlier(numbers, pictures), policy(numbers, pictures))
    # A run that an earlier release began is gone on with.
    config = json.loads((runs["2-2"] / "config.json").read_text())
    del config["config"]["n_picture_steps"]
    (runs["2-2"] / "config.json").write_text(json.dumps(config))
    assert adapt(runs["2-2"], SEEN, CONFIGS["2-2"], action_range=RANGE) == path


def test_frozen_networks_features_are_joined_as_pictures_are(runs: dict[str, Path], tmp_path: Path) -> None:
    (head, info), cpu = load_checkpoint(runs["3-1"]), torch.device("cpu")
    few = replace(SEEN, episodes=SEEN.episodes[:5])
    features = FrozenVision.load(runs["3-1"], info.cameras).features(few, tmp_path, cpu, precision="fp32")
    for name in ("3-1", "2-3"):
        parts = few, ActionNormalizer(RANGE), info.scaling, CONFIGS[name], cpu
        pictured = DemonstrationBatches(*parts, info.cameras).validation()
        joined = DemonstrationBatches(*parts, features=features).validation()
        assert pictured is not None
        assert joined is not None
        assert head.conditioning.vision is not None
        head.conditioning.vision.n_obs_steps = CONFIGS[name].head.n_obs_steps
        with torch.no_grad():
            wanted = head.conditioning.vision(pictured.condition, pictured.pictures)
        assert joined.condition.shape == wanted.shape
        assert (joined.condition - wanted).abs().max() < 1e-5


def test_an_export_answers_as_the_policy(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, out, info = runs["3-1"], tmp_path / "exported", read_info(runs["3-1"])
    export_policy(run, out, bundle=True, lerobot=LeRobotNames())
    script = run_script(tmp_path, monkeypatch)
    assert (script["about"]["n_obs_steps"], script["about"]["n_picture_steps"]) == (3, 1)
    assert differences(run, script, {"front": (40, 44)}, monkeypatch, rng=np.random.default_rng(0)) < 1e-5
    policy = Policy.load(run)
    numbers, pictures = observed(policy, 2)
    assert np.array_equal(Policy.load(out)(numbers, pictures), policy(numbers, pictures))
    config = json.loads((out / "config.json").read_text())
    assert (config["n_obs_steps"], config["n_picture_steps"]) == (3, 1)
    assert "| chunks | 16 steps from 3 observed (1 in pictures), 8 carried out |" in card("a/b", info, "0" * 64, "mit")
    # Where it is the same, earlier releases of the plugin read the export, too.
    assert "n_picture_steps" not in json.loads(lerobot_files(read_info(runs["2-2"]), LeRobotNames())["config.json"])


@pytest.fixture(scope="module")
def url(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving([str(run) for run in runs.values()], tmp_path_factory.mktemp("server"), "--device", "cpu") as found:
        yield found


@pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_server_of_all_answers_as_each_does(url: str, runs: dict[str, Path]) -> None:
    policies = httpx.get(f"{url}/v1/policies", trust_env=False).json()["policies"]
    assert [about["n_picture_steps"] for about in policies] == [1, 3, 2]
    # On one frozen backbone.
    assert policies[1]["backbone"] == policies[2]["backbone"] is not None
    # Of two policies that differ in nothing else, a third picture of each robot: 64 robots by default.
    assert policies[1]["most_bytes"] - policies[2]["most_bytes"] == policies[2]["most_robots"] * 40 * 44 * 3
    openpi = WebsocketClientPolicy(url.replace("http", "ws"))
    for name, run in runs.items():
        policy = Policy.load(run)
        numbers, pictures = observed(policy, 1)
        seen = {"target": numbers[0, :, :3], "tcp_rotation_6d": numbers[0, :, 3:], "front": pictures["front"][0]}
        with PolicyClient(url, policy=name) as client:
            assert np.array_equal(client(seen, n_action_steps=8), policy(numbers, pictures)[0])
            with pytest.raises(PolicyError, match=rf"must have \[1, {policy.n_picture_steps}, 40, 44, 3\]"):
                client({**seen, "front": np.zeros((4, 40, 44, 3), np.uint8)})
        assert np.array_equal(openpi.infer({**seen, "policy": name})["actions"], policy(numbers, pictures)[0])
        # One step alone stands for all.
        alone = openpi.infer({**{key: values[-1] for key, values in seen.items()}, "policy": name})["actions"]
        numbers[:], pictures["front"][:] = numbers[:, -1:], pictures["front"][:, -1:]
        assert np.array_equal(alone, policy(numbers, pictures)[0])


def test_what_does_not_fit_is_named(runs: dict[str, Path], tmp_path: Path) -> None:
    blind = AdaptConfig("random_frozen", MLP, ONE_STEP, n_picture_steps=1)
    with pytest.raises(ConfigError, match="n_picture_steps is 1, but the demonstrations of reach have no cameras"):
        adapt(tmp_path / "run", make_demonstrations(), blind, action_range=RANGE)
    with pytest.raises(
        ConfigError, match=r"sees 2 pictures of each camera, this run 1; use the same --n-picture-steps"
    ):
        adapt(tmp_path / "run", SEEN, replace(EQUAL, n_picture_steps=1), init_from=runs["2-2"])
    assert not (tmp_path / "run").exists()
