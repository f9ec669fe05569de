"""Cameras' networks that begin from a ResNet-18 of another program: a state dict as torchvision publishes it.

Its batch norms become what they are in inference: a fixed scale and offset of each channel, by the running statistics
(vision.FrozenNorm). Its classifier is left out.
"""

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from shared.errors import ConfigError
from trainer import tensor_file
from trainer.model.action_head import ActionHead
from trainer.model.vision import CameraEncoder, ResNet18

_EPSILON = 1e-5
"""Of torch's batch norms, which torchvision's are."""
_STATISTICS = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True, eq=False)
class PretrainedVision:
    """What every camera's network begins with.

    Attributes:
        weights: of a ResNet18, by its names.
        sha256: of the file.
        frozen: whether the network stays as it is; what comes after it is trained in any case.
    """

    weights: Mapping[str, Tensor]
    sha256: str
    frozen: bool

    @classmethod
    def load(cls, path: Path, *, frozen: bool) -> "PretrainedVision":
        """From a .safetensors file, or one that torch.save wrote, of which tensors alone are read.

        Raises ConfigError where it can't be read, or is not of a ResNet-18.
        """
        found = _tensors(path)
        wanted = ResNet18(pretrained=True).state_dict()
        weights = {}
        for ours, theirs in _names():
            for name, value in _converted(found, ours, theirs, path).items():
                if value.shape != wanted[name].shape or not torch.isfinite(value).all():
                    raise ConfigError(
                        f"{path} is not of a ResNet-18: '{theirs}' is {tuple(value.shape)}, expected finite numbers of "
                        f"{tuple(wanted[name].shape)}"
                    )
                weights[name] = value
        assert weights.keys() == wanted.keys()
        return cls(weights, tensor_file.sha256(path.read_bytes()), frozen)

    def put_into(self, head: ActionHead) -> None:
        """Gives every camera of a head this network, and freezes it where it is to stay."""
        assert head.conditioning.vision is not None
        for camera in head.conditioning.vision.cameras:
            assert isinstance(camera, CameraEncoder)
            camera.network.load_state_dict(self.weights)
            camera.network.requires_grad_(not self.frozen)


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"{path} can't be read as weights ({reason}); give a state dict of tensors alone") from error
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ConfigError(f"{path} holds no state dict; save model.state_dict(), not the model")
    return found


def _names() -> Iterator[tuple[str, str]]:
    """Convolutions and norms: our name and torchvision's."""
    yield from (("stem.0", "conv1"), ("stem.1", "bn1"))
    for place in range(8):
        ours, theirs = f"blocks.{place}", f"layer{1 + place // 2}.{place % 2}"
        parts = {"layers.0": "conv1", "layers.1": "bn1", "layers.3": "conv2", "layers.4": "bn2"}
        if place in (2, 4, 6):
            parts |= {"shortcut.0": "downsample.0", "shortcut.1": "downsample.1"}
        yield from ((f"{ours}.{own}", f"{theirs}.{other}") for own, other in parts.items())


def _converted(found: Mapping[str, Tensor], ours: str, theirs: str, path: Path) -> dict[str, Tensor]:
    """A convolution's weight, or a norm's scale and offset."""
    is_norm = ours.endswith((".1", ".4"))
    names = [f"{theirs}.{name}" for name in (_STATISTICS if is_norm else ("weight",))]
    missing = [name for name in names if name not in found]
    if missing:
        raise ConfigError(f"{path} is not of a ResNet-18 as torchvision names it: it lacks '{missing[0]}'")
    if not is_norm:
        return {f"{ours}.weight": found[names[0]].float()}
    weight, bias, mean, variance = (found[name].double() for name in names)
    scale = weight / torch.sqrt(variance + _EPSILON)
    return {f"{ours}.scale": scale.float(), f"{ours}.offset": (bias - mean * scale).float()}
