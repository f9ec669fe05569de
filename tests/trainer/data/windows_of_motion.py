"""Windows that a motion basis is learned from: noisy ones, and smooth ones of poses and of joints."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from trainer.config import ActionName
from trainer.data.normalization import ActionNormalizer

HORIZON = 16
# Each axis of another width, so that units count.
RANGE = {
    "position": {"min": [-0.5, -0.4, 0.1], "max": [0.3, 0.8, 0.7]},
    "joint_position": {"min": [-2.0, -1.5, -0.4], "max": [2.0, 2.5, 0.4]},
}
HALF_WIDTHS = {"ee_pose": [0.4, 0.6, 0.3], "joint_position": [2.0, 2.0, 0.4]}
NORMALIZERS: dict[ActionName, ActionNormalizer] = {
    "ee_pose": ActionNormalizer(RANGE),
    "joint_position": ActionNormalizer(RANGE, "joint_position"),
}
ACTIONS: tuple[ActionName, ...] = ("ee_pose", "joint_position")
SEEDS = st.integers(0, 2**32 - 1)


def with_gripper(motion: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """Windows of this motion whose gripper jumps at random."""
    gripper = rng.choice([-1.0, 1.0], (*motion.shape[:-1], 1))
    return np.concatenate([motion, gripper], -1).astype(np.float32)


def noisy_windows(count: int, seed: int) -> NDArray[np.float32]:
    """Random walks with noise: a spectrum in which every direction has something, each another amount."""
    rng = np.random.default_rng(seed)
    motion = 0.05 * rng.normal(size=(count, HORIZON, 9)).cumsum(1) + 0.01 * rng.normal(size=(count, HORIZON, 9))
    return with_gripper(motion + rng.uniform(-0.5, 0.5, (count, 1, 9)), rng)


def smooth_windows(count: int, seed: int, action: ActionName) -> NDArray[np.float32]:
    """Sums of three slow waves: valid poses or joints, normalized."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 1, HORIZON)[None, :, None, None]
    frequency, phase = rng.uniform(0.2, 5, (count, 1, 6, 3)), rng.uniform(0, 2 * np.pi, (count, 1, 6, 3))
    waves = (rng.normal(0, 0.1, (count, 1, 6, 3)) * np.sin(frequency * time + phase)).sum(-1)
    if action == "joint_position":
        return with_gripper(waves[..., :3], rng)
    rotation = Rotation.from_rotvec((3 * waves[..., 3:]).reshape(-1, 3)).as_matrix()[:, :2].reshape(count, HORIZON, 6)
    return with_gripper(np.concatenate([waves[..., :3], rotation], -1), rng)
