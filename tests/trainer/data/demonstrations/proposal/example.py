"""Recordings of catalogue arms whose every number is known by the service's own kinematics, and files of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from services.catalogue import ARMS
from services.synthesis.arm.robot_model import robot_model
from shared.rotation import matrix_to_quat_xyzw, matrix_to_rotvec
from trainer.data.demonstrations.proposal.chain import Chain, read_chain

FloatArray = NDArray[np.float64]

EPISODES, STEPS, LAG = 6, 60, 2
COLUMNS = ("actions", "obs/joint_pos", "obs/eef_pos", "obs/eef_quat", "obs/gripper_width")


@dataclass(frozen=True, eq=False)
class Recording:
    """One episode of T steps: joints (T, dof) [rad], tool poses [m], the gripper's command and its width [m]."""

    joints: FloatArray
    position: FloatArray
    rotation: FloatArray
    gripper: FloatArray
    width: FloatArray

    def seen(self) -> "Recording":
        """As it is observed: LAG steps later."""
        steps = np.maximum(np.arange(len(self.joints)) - LAG, 0)
        return Recording(self.joints[steps], self.position[steps], self.rotation[steps], self.gripper, self.width)


Columns = dict[str, FloatArray]
Change = Callable[[Columns, Recording, Recording], Mapping[str, FloatArray]]
"""Columns that are written otherwise, of the plain ones, the command and what is observed."""


def chain_of(robot: str) -> Chain:
    arm = ARMS[robot]
    return read_chain(arm.files.urdf(), robot, arm.tool_frame, arm.base_frame)


def recording(robot: str, seed: int, *, still: tuple[int, ...] = ()) -> Recording:
    """A smooth motion of all joints but those that are still, and a grasp of something of some width."""
    model = robot_model(ARMS[robot])
    limits, rng = model.spec.limits, np.random.default_rng(seed)
    low, high = np.maximum(limits.lower, -2.5), np.minimum(limits.upper, 2.5)
    time = np.linspace(0, 2 * np.pi, STEPS)[:, None]
    phase, speed = rng.uniform(0, 2 * np.pi, (2, model.dof))
    middle = (low + high) / 2 + rng.uniform(-0.15, 0.15, model.dof) * (high - low)
    joints = middle + 0.2 * (high - low) * np.sin(phase + (0.5 + speed / 6) * time)
    joints[:, list(still)] = np.array(model.home)[list(still)]
    position, rotation = model.tool_poses(joints)
    closed = np.arange(STEPS) >= 25 + 2 * seed
    held = rng.uniform(0.005, 0.035)
    width = np.where(closed, np.maximum(held, 0.08 - 0.02 * (np.cumsum(closed) - 1)), 0.08)
    return Recording(joints, position, rotation, np.where(closed, 1.0, -1.0), width)


def plain(told: Recording, seen: Recording) -> Columns:
    """Commands as position, rotation vector and gripper; observed joints, position, quaternion xyzw and width."""
    return {
        "actions": np.c_[told.position, matrix_to_rotvec(told.rotation), told.gripper],
        "obs/joint_pos": seen.joints,
        "obs/eef_pos": seen.position,
        "obs/eef_quat": matrix_to_quat_xyzw(seen.rotation),
        "obs/gripper_width": seen.width[:, None],
    }


def write(path: Path, robot: str, change: Change | None = None, *, still: tuple[int, ...] = ()) -> Path:
    """A file in robomimic's layout. A column that is changed to one of no width is left out."""
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        for index in range(EPISODES):
            told = recording(robot, index, still=still)
            columns: dict[str, Any] = plain(told, told.seen())
            if change is not None:
                columns |= change(columns, told, told.seen())
            demo = data.create_group(f"demo_{index}")
            for name, values in columns.items():
                if values.shape[1]:
                    demo[name] = values
            demo.attrs["num_samples"] = STEPS
        data.attrs["env_args"] = '{"env_name": "Pick", "env_kwargs": {"robots": ["Arm"], "control_freq": 20}}'
    return path
