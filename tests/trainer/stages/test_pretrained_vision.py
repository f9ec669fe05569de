"""Cameras' networks that begin from a published ResNet-18, against one of torch's layers with torchvision's names."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from shared.errors import ConfigError
from tests.trainer.example import HEADS, RANGE, training
from tests.trainer.stages.test_demonstration_batches import with_pictures
from trainer.config import AdaptConfig
from trainer.deployment.policy import Policy
from trainer.model.vision import CameraEncoder, spatial_softmax
from trainer.stages.adapt import adapt
from trainer.stages.pretrained_vision import PretrainedVision
from trainer.training.checkpoint import load_checkpoint, read_info

CONFIG = AdaptConfig("normal", HEADS["dp_mlp-adaln_zero"], training(2, batch_size=2), validation_windows=2, crop=1.0)


class Block(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        stride = 1 if inputs == width else 2
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        if stride == 2:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, width, 1, 2, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        beside = self.downsample(x) if hasattr(self, "downsample") else x
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + beside)


class Published(nn.Module):
    """torchvision's resnet18, by its names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        widths = (64, 64, 128, 256, 512)
        for place, (inputs, width) in enumerate(pairwise(widths)):
            self.add_module(f"layer{place + 1}", nn.Sequential(Block(inputs, width), Block(width, width)))
        self.fc = nn.Linear(512, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for place in range(4):
            x = self.get_submodule(f"layer{place + 1}")(x)
        return x


@pytest.fixture(scope="module")
def published() -> Published:
    torch.manual_seed(0)
    network = Published().eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.1)
            part.running_mean = torch.randn(part.num_features) * 0.1
            part.running_var = torch.rand(part.num_features) + 0.5
    return network


@pytest.fixture(scope="module")
def weights(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(published.state_dict(), path)
    return path


def test_the_network_computes_what_the_published_one_does(published: Published, weights: Path, tmp_path: Path) -> None:
    begun = PretrainedVision.load(weights, frozen=True)
    save_file(published.state_dict(), tmp_path / "same.safetensors")
    same = PretrainedVision.load(tmp_path / "same.safetensors", frozen=True)
    assert all(torch.equal(value, same.weights[name]) for name, value in begun.weights.items())
    encoder = CameraEncoder(pretrained=True).eval()
    encoder.network.load_state_dict(begun.weights)
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 80, 96, 3), np.uint8))
    # As torchvision's own transform for these weights: from 0 to 1, less the mean, by the deviation.
    pixels = pictures.permute(0, 3, 1, 2) / 255
    mean, deviation = (torch.tensor(three).view(3, 1, 1) for three in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        maps = published((pixels - mean) / deviation)
        expected = F.relu(encoder.output(spatial_softmax(encoder.keypoints(maps))))
        assert float((encoder(pictures) - expected).abs().max()) < 1e-5 * float(expected.abs().max())


@pytest.mark.parametrize("frozen", [True, False])
def test_networks_begin_with_it_and_are_trained_or_stay(weights: Path, tmp_path: Path, frozen: bool) -> None:
    demonstrations, config = with_pictures(), replace(CONFIG, freeze_vision=frozen)
    path = adapt(tmp_path / "run", demonstrations, config, action_range=RANGE, vision_weights=weights)
    begun, info = PretrainedVision.load(weights, frozen=frozen), read_info(path)
    assert info.vision_weights == begun.sha256
    vision = load_checkpoint(path)[0].conditioning.vision
    assert vision is not None
    for camera in vision.cameras:
        assert isinstance(camera.network, nn.Module)
        network = camera.network.state_dict()
        same = {name: torch.equal(network[name], value) for name, value in begun.weights.items()}
        # Norms stay in either case.
        assert all(same[name] for name in same if name.endswith((".scale", ".offset")))
        assert all(same.values()) if frozen else not any(same[n] for n in same if n.endswith(".weight"))
    pictures = {name: np.zeros((1, 2, *camera.size, 3), np.uint8) for name, camera in info.cameras.items()}
    seen = np.zeros((1, 2, 9), np.float32)
    answer = Policy.load(path, precision="fp32")(seen, pictures)
    assert answer.shape == (1, 8, 10)
    if frozen:
        # Taken over once more, by another run's features.
        again = adapt(tmp_path / "more", demonstrations, CONFIG, action_range=RANGE, vision=path)
        assert read_info(again).vision_weights == begun.sha256
        assert np.isfinite(Policy.load(again, precision="fp32")(seen, pictures)).all()
        with pytest.raises(ConfigError, match=r"data\.vision_weights"):
            adapt(tmp_path / "run", demonstrations, replace(config, freeze_vision=False), action_range=RANGE)


def test_what_is_no_resnet_18_is_said(published: Published, weights: Path, tmp_path: Path) -> None:
    state = published.state_dict()
    lacking = {name: value for name, value in state.items() if name != "layer3.0.downsample.1.running_var"}
    torch.save(lacking, tmp_path / "lacking.pth")
    torch.save({**state, "conv1.weight": torch.zeros(64, 1, 7, 7)}, tmp_path / "grey.pth")
    torch.save(published, tmp_path / "model.pth")
    (tmp_path / "none.safetensors").write_bytes(b"nothing")
    for name, message in (
        (
            "lacking.pth",
            r"of a ResNet-18 as torchvision names it: it lacks 'layer3\.0\.downsample\.1\.running_var'",
        ),
        ("grey.pth", r"'conv1' is \(64, 1, 7, 7\), expected finite numbers of \(64, 3, 7, 7\)"),
        ("model.pth", "can't be read as weights"),
        ("none.safetensors", "can't be read as weights"),
        ("missing.pth", "can't be read as weights"),
    ):
        with pytest.raises(ConfigError, match=message):
            PretrainedVision.load(tmp_path / name, frozen=True)
    plain = replace(with_pictures(), cameras={})
    with pytest.raises(ConfigError, match="these demonstrations have no pictures"):
        adapt(tmp_path / "run", plain, CONFIG, action_range=RANGE, vision_weights=weights)
    with pytest.raises(ConfigError, match="freeze_vision is of --vision-weights"):
        adapt(tmp_path / "run", with_pictures(), replace(CONFIG, freeze_vision=True), action_range=RANGE)
    assert not (tmp_path / "run").exists()
