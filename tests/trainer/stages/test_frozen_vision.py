from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from shared.errors import ConfigError
from tests.trainer.example import RANGE, make_demonstrations, training
from trainer.config import AdaptConfig, Precision
from trainer.data.demonstrations.episode import Demonstrations, Images
from trainer.deployment.policy import Policy
from trainer.device import autocast
from trainer.model.compute_copy import compute_copy
from trainer.model.observation import Camera
from trainer.model.vision import CameraEncoder
from trainer.stages.adapt import adapt
from trainer.stages.frozen_vision import FrozenVision
from trainer.training.checkpoint import find_checkpoint, load_checkpoint, read_info
from trainer.training.training_summary import training_summary

CPU = torch.device("cpu")
CAMERAS = {"front": Camera((37, 40), (33, 36))}
CONFIG = AdaptConfig(mode="normal", training=training(2, batch_size=2), validation_windows=2)


def seen(episodes: int = 5) -> Demonstrations:
    made = make_demonstrations(episodes)
    rng = np.random.default_rng(0)
    with_images = []
    for index, episode in enumerate(made.episodes):
        frames = rng.integers(0, 256, (len(episode.actions), 37, 40, 3), dtype=np.uint8)
        with_images.append(replace(episode, images={"front": Images(frames, np.arange(len(frames)), f"key {index}")}))
    return replace(made, episodes=tuple(with_images), cameras={"front": (37, 40)})


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    adapt(folder, seen(), CONFIG, action_range=RANGE)
    return folder


def test_features_are_those_of_the_networks_and_are_kept(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demonstrations = seen()
    vision = FrozenVision.load(first, CAMERAS)
    features = vision.features(demonstrations, tmp_path, CPU, precision="fp32")
    assert features.shape == (sum(len(episode.actions) for episode in demonstrations.episodes), 64)
    networks = load_checkpoint(first)[0].conditioning.vision
    assert networks is not None
    frames = demonstrations.episodes[0].images["front"].frames[:8]
    crops = torch.from_numpy(CAMERAS["front"].center(frames).copy())[:, None].expand(8, 2, 33, 36, 3)
    with torch.no_grad():
        joined = networks(torch.zeros(8, 2 * 9), (crops,)).view(8, 2, 73)
    assert np.abs(joined[:, 0, :64].numpy() - features[:8]).max() < 1e-5
    files = sorted(path.name for path in tmp_path.iterdir())
    assert len(files) == 5
    with monkeypatch.context() as patch:
        patch.delattr(CameraEncoder, "forward")
        assert np.array_equal(
            FrozenVision.load(first, CAMERAS).features(demonstrations, tmp_path, CPU, precision="fp32"), features
        )
    # Other pictures, and a file that was damaged, are computed anew.
    (tmp_path / files[0]).write_bytes(b"")
    assert np.array_equal(vision.features(demonstrations, tmp_path, CPU, precision="fp32"), features)
    episode = demonstrations.episodes[0]
    other = replace(episode, images={"front": replace(episode.images["front"], key="another")})
    vision.features(replace(demonstrations, episodes=(other,)), tmp_path, CPU, precision="fp32")
    assert len(list(tmp_path.iterdir())) == 6


def test_features_are_made_in_the_precision_that_they_are_served_in(first: Path, tmp_path: Path) -> None:
    demonstrations = seen()
    demonstrations = replace(demonstrations, episodes=demonstrations.episodes[:1])
    vision = FrozenVision.load(first, CAMERAS)
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    exact, rounded = (vision.features(demonstrations, tmp_path, CPU, precision=each) for each in precisions)
    # Each in a file of its own: neither is taken for the other.
    assert len(list(tmp_path.iterdir())) == 2
    assert 1e-4 < np.abs(exact - rounded).max() < 0.5
    # As a policy's sampler makes them, from a conditioning whose linear layers lie in bf16.
    conditioning = compute_copy(load_checkpoint(first)[0].conditioning, torch.bfloat16)
    assert conditioning.vision is not None
    frames = demonstrations.episodes[0].images["front"].frames
    crops = torch.from_numpy(CAMERAS["front"].center(frames).copy())[:, None].expand(-1, 2, -1, -1, -1)
    with torch.inference_mode(), autocast(CPU, "bf16"):
        served = conditioning.vision(torch.zeros(len(frames), 2 * 9), (crops,)).view(-1, 2, 73)
    assert np.abs(served[:, 0, :64].float().numpy() - rounded).max() < np.abs(exact - rounded).max() / 20


def test_a_policy_on_frozen_networks_holds_them_unchanged(first: Path, tmp_path: Path) -> None:
    path = adapt(tmp_path / "run", seen(), CONFIG, action_range=RANGE, vision=first)
    ours, theirs = load_file(path), load_file(find_checkpoint(first))
    networks = [name for name in theirs if name.startswith("conditioning.vision.")]
    assert networks
    assert all(torch.equal(ours[name], theirs[name]) for name in networks)
    assert not torch.equal(ours["conditioning.encoder.layers.0.weight"], theirs["conditioning.encoder.layers.0.weight"])
    # What was taken over was trained by another run.
    held = sum(ours[name].numel() for name in networks)
    assert training_summary(tmp_path / "run")["trained_parameters"] == sum(one.numel() for one in ours.values()) - held
    assert training_summary(first)["trained_parameters"] == sum(one.numel() for one in theirs.values())
    assert len(list((tmp_path / "run" / "features").iterdir())) == 5
    policy = Policy.load(path)
    low_dim = np.zeros((1, 2, 9), np.float32)
    dark, bright = (np.full((1, 2, 37, 40, 3), value, np.uint8) for value in (0, 255))
    assert np.abs(policy(low_dim, {"front": dark}) - policy(low_dim, {"front": bright})).max() > 1e-4
    assert read_info(path).cameras == CAMERAS
    with pytest.raises(ConfigError, match=r"holds another run: data\.vision.* is None, there it is"):
        adapt(tmp_path / "run", seen(), CONFIG, action_range=RANGE)


def test_networks_of_other_cameras_are_refused(first: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sees \{'front': .*these demonstrations have \{\}"):
        adapt(tmp_path / "run", make_demonstrations(), CONFIG, action_range=RANGE, vision=first)
    adapt(tmp_path / "blind", make_demonstrations(), CONFIG, action_range=RANGE)
    with pytest.raises(ConfigError, match="has no cameras, so there are no networks to take over"):
        adapt(tmp_path / "run", make_demonstrations(), CONFIG, action_range=RANGE, vision=tmp_path / "blind")
    with pytest.raises(ConfigError, match=r"sees .*, these demonstrations have"):
        adapt(tmp_path / "run", seen(), replace(CONFIG, crop=0.95), action_range=RANGE, vision=first)
