"""How far a head's actions are from demonstrated ones, by full denoising."""

import copy
import logging
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.rotation import geodesic_angle, rot6d_to_matrix
from trainer.action import GRIPPER, POSITION, ROTATION
from trainer.action_head import ActionHead
from trainer.backbones import Backbone
from trainer.batches import Batch
from trainer.compilation import CompiledForInference, RecompileError
from trainer.compute_copy import compute_copy
from trainer.conditioning import Conditioning
from trainer.config import DIFFUSION_STEPS, ActionName, Precision
from trainer.device import autocast, compute_dtype
from trainer.diffusion import SAMPLING_STEPS, Diffusion, sample, sampling_steps
from trainer.normalization import ActionNormalizer
from trainer.packed_linear import pack_linear

_log = logging.getLogger(__name__)

_SEED = 20_000
_ROWS = 64
"""That weights are packed for; they fit others too. So packed, the products of the 16 rows that one robot's window has
take 6 % less time than when packed for 16."""


class Sampler:
    """Denoises with a head. What depends on the timestep alone is computed once."""

    def __init__(
        self, head: ActionHead, precision: Precision, steps: int = SAMPLING_STEPS, compile_for: int | None = None
    ) -> None:
        """Takes a head in eval mode, whose weights must not change while the sampler is used.

        The backbone is compiled for batches of `compile_for`, when the first comes; others are denoised as they are
        without it.
        """
        self._precision, self._steps, self._prediction_type = precision, steps, head.prediction_type
        self._device = next(head.parameters()).device
        timesteps = torch.tensor([step.timestep for step in sampling_steps(steps)], device=self._device)
        with torch.inference_mode():
            self._time = head.conditioning.time_share(head.backbone.time_encoder(timesteps))
        dtype = compute_dtype(self._device, precision)
        self._conditioning = compute_copy(head.conditioning, dtype)
        backbone = compute_copy(head.backbone, dtype)
        self._compile_for = compile_for
        # A packed weight is none that a compiler knows.
        unpacked = backbone if compile_for is None else copy.deepcopy(backbone)
        self._compiled = CompiledForInference(_prediction(unpacked, self._conditioning))
        for network in (backbone, self._conditioning):
            pack_linear(network, _ROWS)
        self._predict = _prediction(backbone, self._conditioning)

    def __call__(
        self,
        condition: Tensor,
        noise: Tensor,
        step_noise: Callable[[int], Tensor] | None = None,
        pictures: tuple[Tensor, ...] = (),
    ) -> Tensor:
        """Normalized actions (batch, horizon, action_dim) from noise like them and a condition (diffusion.sample)."""
        if len(noise) == self._compile_for:
            try:
                # Of inference mode's weights the compiler makes no constants.
                with torch.no_grad(), self._compiled.only_once():
                    return self._denoise(self._compiled, condition, noise, step_noise, pictures)
            except RecompileError:
                _log.warning(
                    "torch is set differently than when the policy was compiled (threads, autocast, inference mode); "
                    "it goes on as it is without compile_for"
                )
                self._compile_for = None
        with torch.inference_mode():
            return self._denoise(self._predict, condition, noise, step_noise, pictures)

    def _denoise(
        self,
        prediction: Callable[[Tensor, Tensor, Tensor], Tensor],
        condition: Tensor,
        noise: Tensor,
        step_noise: Callable[[int], Tensor] | None,
        pictures: tuple[Tensor, ...],
    ) -> Tensor:
        conditioning = self._conditioning
        with autocast(self._device, self._precision):
            features = conditioning.feature_share(conditioning.encode(condition, pictures))

            def predict(noisy: Tensor, index: int) -> Tensor:
                return prediction(noisy, self._time[index], features)

            return sample(predict, noise, self._steps, self._prediction_type, step_noise)


def _prediction(backbone: Backbone, conditioning: Conditioning) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Of noisy actions, from the shares of time and features."""

    def prediction(noisy: Tensor, time_share: Tensor, feature_share: Tensor) -> Tensor:
        predicted: Tensor = backbone(noisy, conditioning.join(time_share, feature_share))
        return predicted

    return prediction


def action_error(
    head: ActionHead, windows: Batch, normalizer: ActionNormalizer, precision: Precision = "auto"
) -> dict[str, float]:
    """Denoises each window from fixed noise and compares it with the demonstrated actions (`compare_actions`).

    Args:
        head: in eval mode.
        windows: held out.
        normalizer: of the actions.
        precision: of the network.
    """
    noise = torch.randn(windows.actions.shape, generator=torch.Generator().manual_seed(_SEED))
    sampler = Sampler(head, precision)
    predicted = sampler(windows.condition, noise.to(windows.actions.device), pictures=windows.pictures)
    return compare_actions(
        normalizer.denormalize(predicted.cpu().numpy()),
        normalizer.denormalize(windows.actions.cpu().numpy()),
        normalizer.action,
    )


def compare_actions(
    predicted: NDArray[np.float32], target: NDArray[np.float32], action: ActionName
) -> dict[str, float]:
    """Mean errors of (..., action_dim) actions in metres or radians.

    Returns:
        `gripper_accuracy`, the share of steps whose gripper has the right sign; for poses `position_mm`, the distance
        of the positions, and `rotation_deg`, the angle between the rotations; for joints `joint_rad`, the absolute
        difference [rad, or m of a prismatic joint].
    """
    agree = float(((predicted[..., GRIPPER] > 0) == (target[..., GRIPPER] > 0)).mean())
    if action == "joint_position":
        difference = np.abs(predicted[..., :GRIPPER] - target[..., :GRIPPER])
        return {"joint_rad": float(difference.mean()), "gripper_accuracy": agree}
    distance = np.linalg.norm(predicted[..., POSITION] - target[..., POSITION], axis=-1)
    angle = geodesic_angle(rot6d_to_matrix(predicted[..., ROTATION]), rot6d_to_matrix(target[..., ROTATION]))
    return {
        "position_mm": 1e3 * float(distance.mean()),
        "rotation_deg": float(np.rad2deg(angle.mean())),
        "gripper_accuracy": agree,
    }


def describe_error(error: Mapping[str, float]) -> str:
    """What `compare_actions` found, in a few words."""
    if "joint_rad" in error:
        return f"{error['joint_rad']:.4f} rad"
    return f"{error['position_mm']:.1f} mm, {error['rotation_deg']:.2f} degrees"


@torch.inference_mode()
def noise_loss(head: ActionHead, windows: Batch, precision: Precision = "auto") -> float:
    """The training loss on held-out windows, with fixed noise and timesteps spread evenly."""
    device = windows.actions.device
    noise = torch.randn(windows.actions.shape, generator=torch.Generator().manual_seed(_SEED)).to(device)
    timesteps = torch.arange(len(noise), device=device) * DIFFUSION_STEPS // len(noise)
    diffusion = Diffusion(head.prediction_type)
    with autocast(device, precision):
        noisy = diffusion.add_noise(windows.actions, noise, timesteps)
        predicted = head(noisy, timesteps, windows.condition, windows.pictures)
    target = diffusion.target(windows.actions, noise, timesteps)
    return float(torch.nn.functional.mse_loss(predicted.float(), target))
