"""How far a head's actions are from demonstrated ones, by full denoising."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dct, idct

from shared.robots import JointLimits
from shared.rotation import geodesic_angle, rot6d_to_matrix
from trainer.config import ActionName, Precision
from trainer.data.action import GRIPPER, POSITION, ROTATION
from trainer.data.batch_source import Batch
from trainer.data.motion_basis import MotionBasis
from trainer.data.normalization import ActionNormalizer
from trainer.device import autocast
from trainer.evaluation.smoothness import describe_chunks, joint_limit_breaks
from trainer.model.action_head import ActionHead
from trainer.model.diffusion import forward_process
from trainer.model.sampler import Sampler

_SEED = 20_000


_SLOW_DIRECTIONS = 5
"""Which split errors into slow and fast, where no motion basis says how many."""


def action_error(
    head: ActionHead,
    windows: Batch,
    normalizer: ActionNormalizer,
    precision: Precision = "auto",
    *,
    basis: MotionBasis | None = None,
    rate_hz: float | None = None,
    limits: JointLimits | None = None,
) -> dict[str, float]:
    """Denoises each window from fixed noise and compares it with the demonstrated actions.

    Args:
        head: in eval mode.
        windows: held out.
        normalizer: of the actions.
        precision: of the network.
        basis: that is projected onto; None is none.
        rate_hz: actions per second; None leaves out the motion.
        limits: of the joints that are actions; None leaves out what breaks them.

    Returns:
        As `compare_actions`; with a rate also `slow_*` and `fast_*` (`split_errors`) and the motion of what is
        predicted beside that of the windows (`smoothness.describe_chunks`, `joint_limit_breaks`).
    """
    noise = torch.randn(windows.actions.shape, generator=torch.Generator().manual_seed(_SEED))
    sampler = Sampler(head, precision, basis=basis)
    predicted = sampler(windows.condition, noise.to(windows.actions.device), pictures=windows.pictures).cpu().numpy()
    demonstrated = windows.actions.cpu().numpy()
    ours, theirs = normalizer.denormalize(predicted), normalizer.denormalize(demonstrated)
    found = compare_actions(ours, theirs, normalizer.action)
    if rate_hz is None:
        return found
    split = split_errors(ours, theirs, normalizer.action, basis.kept if basis else _SLOW_DIRECTIONS)
    found |= split | describe_chunks(ours, theirs, normalizer.action, rate_hz)
    # Offsets from a state break no position limit.
    if limits is not None and normalizer.action == "joint_position" and not normalizer.relative:
        found |= joint_limit_breaks(ours, limits, rate_hz)
    return found


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


def split_errors(
    predicted: NDArray[np.float32], target: NDArray[np.float32], action: ActionName, directions: int
) -> dict[str, float]:
    """The slow and the fast part of the errors of windows (n, horizon, action_dim): where they go, and their jitter.

    Slow is what the first so many cosines over the window (DCT-II) make of it, fast is the rest.

    Returns:
        Root mean squares over all steps: `slow_position_mm` and `fast_position_mm`, or `slow_joint_rad` and
        `fast_joint_rad`.
    """
    axes = slice(0, GRIPPER) if action == "joint_position" else POSITION
    error = (predicted[..., axes] - target[..., axes]).astype(np.float64)
    coefficients = dct(error, axis=1, norm="ortho")
    coefficients[:, directions:] = 0
    slow = idct(coefficients, axis=1, norm="ortho")
    unit, scale = ("joint_rad", 1.0) if action == "joint_position" else ("position_mm", 1e3 * 3**0.5)
    parts = {"slow": slow, "fast": error - slow}
    return {f"{name}_{unit}": scale * float(np.sqrt((part**2).mean())) for name, part in parts.items()}


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
    process = forward_process(head.prediction_type, device)
    timesteps = process.spread(len(noise), device)
    with autocast(device, precision):
        noisy = process.add_noise(windows.actions, noise, timesteps)
        predicted = head(noisy, timesteps, windows.condition, windows.pictures)
    target = process.target(windows.actions, noise, timesteps)
    return float(torch.nn.functional.mse_loss(predicted.float(), target))
