"""How far a head's actions are from demonstrated ones, by full denoising."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared.rotation import geodesic_angle, rot6d_to_matrix
from trainer.action import GRIPPER, POSITION, ROTATION
from trainer.action_head import ActionHead
from trainer.batches import Batch
from trainer.config import DIFFUSION_STEPS, Precision
from trainer.device import autocast, compute_dtype
from trainer.diffusion import SAMPLING_STEPS, Diffusion, sample, sampling_timesteps
from trainer.normalization import ActionNormalizer

_SEED = 20_000


@dataclass(frozen=True)
class ActionError:
    """Means over windows and steps.

    Attributes:
        position_mm: distance of the positions [mm].
        rotation_deg: angle between the rotations [deg].
        gripper_accuracy: share of steps whose gripper has the right sign.
    """

    position_mm: float
    rotation_deg: float
    gripper_accuracy: float


class Sampler:
    """Denoises with a head. What depends on the timestep alone is computed once."""

    def __init__(self, head: ActionHead, precision: Precision, steps: int = SAMPLING_STEPS) -> None:
        """Takes a head in eval mode, whose weights must not change while the sampler is used."""
        self._conditioning, self._precision, self._steps = head.conditioning, precision, steps
        self._device = next(head.parameters()).device
        self._backbone = copy.deepcopy(head.backbone)
        for part in self._backbone.modules():
            # As autocast would at every call, where it takes a quarter of the time of a single observation.
            if isinstance(part, nn.Linear):
                part.to(compute_dtype(self._device, precision))
        timesteps = torch.tensor(sampling_timesteps(steps), device=self._device)
        with torch.inference_mode():
            self._time = head.conditioning.time_share(head.backbone.time_encoder(timesteps))

    @torch.inference_mode()
    def __call__(self, condition: Tensor, noise: Tensor) -> Tensor:
        """Normalized actions (batch, horizon, 10) from noise like them and a condition (batch, condition_dim)."""
        conditioning = self._conditioning
        with autocast(self._device, self._precision):
            features = conditioning.feature_share(conditioning.encode(condition))

            def predict(noisy: Tensor, index: int) -> Tensor:
                predicted: Tensor = self._backbone(noisy, conditioning.split(self._time[index] + features))
                return predicted

            return sample(predict, noise, self._steps)


def action_error(
    head: ActionHead, windows: Batch, normalizer: ActionNormalizer, precision: Precision = "auto"
) -> ActionError:
    """Denoises each window from fixed noise and compares it with the demonstrated actions.

    Args:
        head: in eval mode.
        windows: held out.
        normalizer: of the actions.
        precision: of the network.
    """
    noise = torch.randn(windows.actions.shape, generator=torch.Generator().manual_seed(_SEED))
    predicted = Sampler(head, precision)(windows.condition, noise.to(windows.actions.device))
    return compare_actions(
        normalizer.denormalize(predicted.cpu().numpy()), normalizer.denormalize(windows.actions.cpu().numpy())
    )


def compare_actions(predicted: NDArray[np.float32], target: NDArray[np.float32]) -> ActionError:
    """The error of (..., 10) actions in metres."""
    distance = np.linalg.norm(predicted[..., POSITION] - target[..., POSITION], axis=-1)
    angle = geodesic_angle(rot6d_to_matrix(predicted[..., ROTATION]), rot6d_to_matrix(target[..., ROTATION]))
    agree = (predicted[..., GRIPPER] > 0) == (target[..., GRIPPER] > 0)
    return ActionError(1e3 * float(distance.mean()), float(np.rad2deg(angle.mean())), float(agree.mean()))


@torch.inference_mode()
def noise_loss(head: ActionHead, windows: Batch, precision: Precision = "auto") -> float:
    """The training loss on held-out windows, with fixed noise and timesteps spread evenly."""
    device = windows.actions.device
    noise = torch.randn(windows.actions.shape, generator=torch.Generator().manual_seed(_SEED)).to(device)
    timesteps = torch.arange(len(noise), device=device) * DIFFUSION_STEPS // len(noise)
    with autocast(device, precision):
        predicted = head(Diffusion(device).add_noise(windows.actions, noise, timesteps), timesteps, windows.condition)
    return float(torch.nn.functional.mse_loss(predicted.float(), noise))
