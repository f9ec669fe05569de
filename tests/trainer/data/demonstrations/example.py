"""A made-up arm's motions, and files of them as other programs would write them."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from shared.rotation import matrix_to_rot6d, rotvec_to_matrix
from trainer.data.demonstrations.mapping.mapping import Mapping as MappingFile
from trainer.data.demonstrations.mapping.mapping_file import parse_mapping

FloatArray = NDArray[np.float64]

RATE_HZ = 20.0
RANGES = {
    "position": {"min": [0.2, -0.4, -0.1], "max": [0.8, 0.4, 0.5]},
    "joint_position": {"min": [-3.0] * 6, "max": [3.0] * 6},
}
# A tool that points down.
_DOWN = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True, eq=False)
class Reach:
    """One pick: position (T, 3) [m], rotation (T, 3, 3), joints (T, 6) [rad], gripper (T,) that closes on the way."""

    position: FloatArray
    rotation: FloatArray
    joints: FloatArray
    gripper: FloatArray

    def seen(self, lag: int = 2) -> "Reach":
        """What is observed: the command `lag` steps before."""
        steps = np.maximum(np.arange(len(self.gripper)) - lag, 0)
        return Reach(self.position[steps], self.rotation[steps], self.joints[steps], self.gripper[steps])


def reach(seed: int, steps: int = 40) -> Reach:
    """A smooth pick with the tool within 0.5 rad of down and any yaw."""
    rng = np.random.default_rng(seed)
    share = (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, steps)))[:, None]
    start, end = rng.uniform([0.3, -0.3, 0.0], [0.7, 0.3, 0.4], (2, 3))
    yaw = rng.uniform(-2.5, 2.5) + share * rng.uniform(-0.8, 0.8)
    tilt = share * rng.uniform(-0.35, 0.35, 2)
    turn = rotvec_to_matrix(np.concatenate([tilt, np.zeros((steps, 1))], axis=1))
    rotation = rotvec_to_matrix(yaw * [0, 0, 1.0]) @ turn @ _DOWN
    low, high = rng.uniform(-2, 2, (2, 6))
    closing = int(steps * rng.uniform(0.5, 0.8))
    return Reach(
        start + (end - start) * share,
        rotation,
        low + (high - low) * share,
        np.where(np.arange(steps) < closing, -1.0, 1.0),
    )


def write_robomimic(path: Path, episodes: int, columns: Callable[[Reach], Mapping[str, NDArray[Any]]]) -> Path:
    """A file in robomimic's layout with the columns of each of so many picks."""
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        for index in range(episodes):
            demo = data.create_group(f"demo_{index}")
            for name, values in columns(reach(index)).items():
                demo[name] = values
            demo.attrs["num_samples"] = len(reach(index).gripper)
        data.attrs["env_args"] = '{"env_name": "Pick", "env_kwargs": {"robots": ["Arm6"], "control_freq": 20}}'
    return path


def plain_columns(motion: Reach) -> dict[str, NDArray[Any]]:
    """Commands as position and rot6d and joints, and the same observed two steps later; a finger from 0.04 to 0."""
    columns: dict[str, NDArray[Any]] = {}
    for prefix, one in (("", motion), ("obs/", motion.seen())):
        columns |= {
            f"{prefix}position": one.position,
            f"{prefix}rotation": matrix_to_rot6d(one.rotation),
            f"{prefix}joints": one.joints,
            f"{prefix}gripper": one.gripper if not prefix else 0.02 - 0.02 * one.gripper,
        }
    return columns


def mapping(**changes: Any) -> MappingFile:
    """The mapping of `plain_columns`, with other values at dotted keys, such as action__label; None removes a key."""
    content: dict[str, Any] = {"observation": {"low_dim": ["obs/position", "obs/rotation", "obs/gripper"]}}
    for table, prefix in (("action", ""), ("state", "obs/")):
        content[table] = {
            "position": {"columns": f"{prefix}position"},
            "rotation": {"columns": f"{prefix}rotation", "encoding": "rot6d"},
            "gripper": {"columns": f"{prefix}gripper", "open": -1, "closed": 1},
        }
    content["state"]["gripper"] |= {"open": 0.04, "closed": 0.0}
    content["action"]["space"] = "ee_pose"
    for key, value in copy.deepcopy(changes).items():
        *tables, last = key.split("__")
        place = content
        for table in tables:
            place = place.setdefault(table, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    return parse_mapping(content, "mapping.toml")
