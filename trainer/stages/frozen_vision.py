"""The cameras' networks of an earlier policy, frozen: each picture becomes its features once, which a file keeps.

Training then costs as little as without pictures. A frozen network sees the middle of each picture, in training too.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.errors import ConfigError
from trainer import tensor_file
from trainer.config import Precision
from trainer.data.demonstrations.episode import Demonstrations, Episode
from trainer.device import autocast, compute_dtype
from trainer.model.action_head import ActionHead
from trainer.model.observation import Camera
from trainer.model.vision import VISION, CameraEncoder
from trainer.progress import Progress, silent
from trainer.stages.pictures import EpisodePictures
from trainer.training.checkpoint import KIND, find_checkpoint, read_info

_BATCH = 64


@dataclass(frozen=True, eq=False)
class FrozenVision:
    """The networks of a policy's cameras.

    Attributes:
        cameras: whose networks they are, in order.
        weights: of all of them, by their names in a checkpoint.
        sha256: of the weights.
        began_with: hash of the file that the networks began with; None where they are our own.
    """

    cameras: Mapping[str, Camera]
    weights: Mapping[str, Tensor]
    sha256: str
    began_with: str | None = None

    @classmethod
    def load(cls, path: Path | str, cameras: Mapping[str, Camera]) -> "FrozenVision":
        """From a Stage-2 checkpoint or run folder.

        Raises:
            CheckpointError: it is missing or damaged.
            ConfigError: it has no cameras, or others than `cameras`.
        """
        info = read_info(path)
        if list(info.cameras.items()) != list(cameras.items()):
            raise ConfigError(f"{path} sees {dict(info.cameras)}, these demonstrations have {dict(cameras)}")
        if not cameras:
            raise ConfigError(f"{path} has no cameras, so there are no networks to take over; leave --vision out")
        tensors, _ = tensor_file.read(find_checkpoint(path), KIND)
        weights = {name: value for name, value in tensors.items() if name.startswith(VISION)}
        return cls(dict(cameras), weights, tensor_file.sha256(tensor_file.pack(weights, {})), info.vision_weights)

    def put_into(self, head: ActionHead) -> None:
        """Gives a head these networks, and freezes them there."""
        vision = head.conditioning.vision
        assert vision is not None
        vision.load_state_dict({name.removeprefix(VISION): value for name, value in self.weights.items()})
        vision.requires_grad_(False)

    def features(
        self,
        demonstrations: Demonstrations,
        folder: Path,
        device: torch.device,
        progress: Progress = silent,
        precision: Precision = "auto",
    ) -> NDArray[np.float32]:
        """What every camera's network makes of every step, episode after episode: (steps, 64 * cameras).

        Args:
            demonstrations: with pictures.
            folder: where features are kept, one file for each episode and camera.
            device: that networks compute on.
            progress: told of each episode.
            precision: of the networks, the one that the policy is trained and served in: bf16 features lie up to a
                twentieth of their spread from those of fp32.
        """
        encoders = [self._encoder(index).to(device) for index in range(len(self.cameras))]
        rows = []
        for done, episode in enumerate(demonstrations.episodes):
            seen = zip(self.cameras, encoders, strict=True)
            parts = [self._episode_features(episode, name, encoder, folder, precision) for name, encoder in seen]
            rows.append(np.concatenate(parts, axis=1))
            progress(done + 1, len(demonstrations.episodes), "pictures to features")
        return np.concatenate(rows)

    def _encoder(self, index: int) -> CameraEncoder:
        prefix = f"{VISION}cameras.{index}."
        encoder = CameraEncoder(self.began_with is not None).eval()
        own = {name.removeprefix(prefix): value for name, value in self.weights.items() if name.startswith(prefix)}
        encoder.load_state_dict(own)
        return encoder

    def _episode_features(
        self, episode: Episode, name: str, encoder: CameraEncoder, folder: Path, precision: Precision
    ) -> NDArray[np.float32]:
        images, camera = episode.images[name], self.cameras[name]
        device = encoder.output.weight.device
        dtype = compute_dtype(device, precision)
        of = f"{self.sha256}|{name}|{camera}|{images.key}|" + ("" if dtype == torch.float32 else f"{dtype}|")
        digest = hashlib.sha256(of.encode() + images.rows.tobytes())
        path = folder / f"{digest.hexdigest()[:40]}.npy"
        steps = len(images.rows)
        try:
            kept = np.load(path)
            if kept.shape == (steps, encoder.output.out_features):
                return np.asarray(kept, np.float32)
        except (OSError, EOFError, ValueError):
            pass
        pictures = EpisodePictures([episode], name, camera)
        features = []
        with torch.inference_mode(), autocast(device, precision):
            for start in range(0, steps, _BATCH):
                crops = pictures.center_crops(np.arange(start, min(start + _BATCH, steps))[:, None])[:, 0]
                features.append(encoder(torch.from_numpy(crops).to(device)).float().cpu().numpy())
        made = np.concatenate(features)
        _save(path, made)
        return made


def _save(path: Path, values: NDArray[np.float32]) -> None:
    content = io.BytesIO()
    np.save(content, values)
    tensor_file.publish(path, content.getvalue())
