"""How far a head's actions are from demonstrated ones, by full denoising."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from shared.rotation import geodesic_angle, rot6d_to_matrix
from trainer.action import GRIPPER, POSITION, ROTATION
from trainer.action_head import ActionHead
from trainer.batches import Batch
from trainer.config import DIFFUSION_STEPS, ActionName, Precision
from trainer.device import autocast
from trainer.diffusion import Diffusion
from trainer.normalization import ActionNormalizer
from trainer.sampler import Sampler

_SEED = 20_000


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
