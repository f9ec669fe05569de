"""Errors split into slow and fast, and what a validation says of joint policies beside them."""

import numpy as np
import pytest
import torch

from shared.robots import JointLimits
from tests.trainer.example import HEADS, random_windows
from trainer.config import ActionName
from trainer.data.normalization import ActionNormalizer
from trainer.evaluation.action_error import action_error, split_errors
from trainer.evaluation.smoothness import joint_limit_breaks
from trainer.model.action_head import ActionHead
from trainer.model.backbones import build_backbone
from trainer.model.conditioning import stage2_conditioning

RANGES = {"joint_position": {"min": [-2.0] * 7, "max": [2.0] * 7}}


def test_an_offset_is_slow_and_what_alternates_is_fast() -> None:
    target = np.zeros((3, 16, 10), np.float32)
    offset, jitter = np.array([0.03, 0.04, 0.0]), np.array([0.0, 0.0, 0.002])
    predicted = target.copy()
    predicted[..., :3] += offset
    found = split_errors(predicted, target, "ee_pose", 5)
    assert found["slow_position_mm"] == pytest.approx(50, abs=1e-4)
    assert found["fast_position_mm"] == pytest.approx(0, abs=1e-4)
    predicted[..., :3] += np.where(np.arange(16) % 2, 1.0, -1.0)[:, None] * jitter
    found = split_errors(predicted, target, "ee_pose", 5)
    assert found["slow_position_mm"] == pytest.approx(50, abs=0.01)
    assert found["fast_position_mm"] == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize(
    ("action", "name", "numbers", "scale"),
    [("ee_pose", "position_mm", 3, 1e3 * 3**0.5), ("joint_position", "joint_rad", 7, 1.0)],
)
@pytest.mark.parametrize("directions", [1, 5, 16])
def test_the_parts_add_up_and_slow_is_the_nearest_sum_of_the_first_cosines(
    action: ActionName, name: str, numbers: int, scale: float, directions: int
) -> None:
    rng = np.random.default_rng(0)
    predicted, target = rng.normal(size=(2, 4, 16, 10 if action == "ee_pose" else 8)).astype(np.float32)
    found = split_errors(predicted, target, action, directions)
    error = (predicted - target)[..., :numbers].astype(np.float64)
    cosines = np.cos(np.outer(np.arange(16) + 0.5, np.arange(directions)) * np.pi / 16)
    slow = cosines @ np.linalg.lstsq(cosines, error.transpose(1, 0, 2).reshape(16, -1), rcond=None)[0]
    assert found[f"slow_{name}"] == pytest.approx(scale * np.sqrt((slow**2).mean()), rel=1e-6)
    total = scale**2 * (error**2).mean()
    assert found[f"slow_{name}"] ** 2 + found[f"fast_{name}"] ** 2 == pytest.approx(total, rel=1e-6)
    if directions == 16:
        assert found[f"fast_{name}"] < 1e-9


def test_joint_policies_are_measured_by_the_arms_limits() -> None:
    config = HEADS["dp_mlp-adaln_zero"]
    torch.manual_seed(0)
    backbone = build_backbone(config, 8)
    head = ActionHead(backbone, stage2_conditioning(config, backbone, 5, None)).eval()
    windows, normalizer = random_windows(8, 10, action="joint_position"), ActionNormalizer(RANGES, "joint_position")
    every = np.ones(7)
    limits = JointLimits(-1.5 * every, 1.5 * every, 3 * every, 30 * every, 300 * every)
    found = action_error(head, windows, normalizer, "fp32", rate_hz=20.0, limits=limits)
    breaks = {key: value for key, value in found.items() if key.endswith("_breaks")}
    assert set(breaks) == {"position_breaks", "velocity_breaks", "acceleration_breaks", "jerk_breaks"}
    # A head that was never trained breaks them all.
    assert all(0.5 < value <= 1 for value in breaks.values())
    demonstrated = joint_limit_breaks(normalizer.denormalize(windows.actions.numpy()), limits, 20.0)
    assert demonstrated["acceleration_breaks"] == demonstrated["jerk_breaks"] == 0
    assert {"chunk_jerk_rad_per_s3", "demonstration_jerk_rad_per_s3", "slow_joint_rad", "joint_rad"} <= set(found)
    without = action_error(head, windows, normalizer, "fp32", rate_hz=20.0)
    assert without == {key: value for key, value in found.items() if key not in breaks}
