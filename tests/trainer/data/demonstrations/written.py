"""The data sets that other programs wrote (tests/data), unpacked, and the mappings that go with them."""

import lzma
import tarfile
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[3] / "data"
VERSIONS = ("v3.0", "v2.1")
EPISODES, STEPS = 3, 26

POSES: dict[str, Any] = {
    "observation": {"low_dim": ["observation.state"]},
    "action": {
        "space": "ee_pose",
        "position": {"columns": "action[0:3]"},
        "rotation": {"columns": "action[3:6]", "encoding": "euler", "axes": "xyz"},
        "gripper": {"columns": "action[6]", "open": 0, "closed": 1},
    },
    "state": {
        "position": {"columns": "observation.state[0:3]"},
        "rotation": {"columns": "observation.state[3:7]", "encoding": "quat_xyzw"},
        "gripper": {"columns": "observation.state[7]", "open": 0.08, "closed": 0},
    },
}
JOINTS: dict[str, Any] = {
    "action": {
        "space": "joint_position",
        "joint_position": {"columns": "action[0:7]", "unit": "deg"},
        "gripper": {"columns": "action[7]", "open": 100, "closed": 0},
    },
    "state": {"joint_position": {"columns": "observation.state[0:7]", "unit": "deg"}},
}
LIFT: dict[str, Any] = {
    "observation": {"low_dim": ["obs/robot0_eef_pos", "obs/object"]},
    "action": {
        "space": "ee_pose",
        "position": {"columns": "actions_abs[0:3]"},
        "rotation": {"columns": "actions_abs[3:6]", "encoding": "rotation_vector"},
        "gripper": {"columns": "actions_abs[6]", "open": -1, "closed": 1},
        "frame": "robosuite",
    },
    "state": {
        "position": {"columns": "obs/robot0_eef_pos"},
        "rotation": {"columns": "obs/robot0_eef_quat", "encoding": "quat_xyzw"},
        "gripper": {"columns": "obs/robot0_gripper_qpos[0]", "open": 0.04, "closed": 0},
        "frame": "robosuite",
    },
}


def unpack_lerobot(version: str, folder: Path) -> Path:
    """A folder with the data sets `poses` and `joints`."""
    with tarfile.open(DATA / f"lerobot-{version}.tar.xz") as archive:
        archive.extractall(folder / version, filter="data")
    return folder / version


def unpack_lift(folder: Path) -> Path:
    """robomimic's file."""
    path = folder / "lift.hdf5"
    path.write_bytes(lzma.decompress((DATA / "robomimic-lift.hdf5.xz").read_bytes()))
    return path
