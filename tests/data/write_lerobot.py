"""Writes a LeRobot fixture with the real library, in an environment of its own (README.md).

    python write_lerobot.py OUT     # lerobot 0.4.4 writes lerobot-v3.0.tar.xz, lerobot 0.3.3 lerobot-v2.1.tar.xz

A Panda picks a block in three episodes of 26 steps at 20 Hz. `poses` has two cameras; `joints` has none.
"""

import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from lerobot.datasets.lerobot_dataset import CODEBASE_VERSION, LeRobotDataset

EPISODES, STEPS, FPS = 3, 26, 20
FRONT, WRIST = (64, 64), (48, 80)
TASK = "pick up the block"
JOINTS = tuple(f"panda_joint{index}.pos" for index in range(1, 8))


def share() -> np.ndarray:
    """From 0 to 1, starting and ending at rest, (STEPS, 1)."""
    return (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, STEPS)))[:, None]


def picture(size: tuple[int, int], episode: int, step: int) -> np.ndarray:
    """One colour that tells episode and step, and a white block that moves."""
    image = np.empty((*size, 3), np.uint8)
    image[:] = 30 + 8 * step, 60 + 60 * episode, 220 - 6 * step
    left = 4 + step
    image[8:16, left : left + 8] = 255
    return image


def quaternion(euler: np.ndarray) -> np.ndarray:
    """xyzw of rotations about fixed x, then y, then z."""
    half = euler / 2
    (cr, cp, cy), (sr, sp, sy) = np.cos(half).T, np.sin(half).T
    return np.stack(
        [
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
            cr * cp * cy + sr * sp * sy,
        ],
        axis=1,
    )


def poses(root: Path) -> None:
    """state: position 3, quaternion xyzw 4, opening [m]; action: position 3, Euler xyz 3 [rad], closed 0 or 1."""
    features = {
        "observation.state": {
            "dtype": "float32",
            "shape": (8,),
            "names": ["x", "y", "z", "qx", "qy", "qz", "qw", "width"],
        },
        "action": {"dtype": "float32", "shape": (7,), "names": ["x", "y", "z", "roll", "pitch", "yaw", "grasp"]},
        "observation.images.front": {"dtype": "video", "shape": (*FRONT, 3), "names": ["height", "width", "channels"]},
        "observation.images.wrist": {"dtype": "video", "shape": (*WRIST, 3), "names": ["height", "width", "channels"]},
    }
    dataset = LeRobotDataset.create("test/poses", FPS, features, root=root, robot_type="panda", use_videos=True)
    for episode in range(EPISODES):
        start, end = np.array([0.4, -0.1, 0.3]), np.array([0.5 + 0.05 * episode, 0.1, 0.05])
        euler = np.array([3.0, 0.1, 0.3 * episode]) + share() * np.array([0.1, -0.1, 0.5])
        closed = (np.arange(STEPS) >= 18).astype(float)[:, None]
        action = np.concatenate([start + (end - start) * share(), euler, closed], axis=1)
        seen = action[np.maximum(np.arange(STEPS) - 1, 0)]
        state = np.concatenate([seen[:, :3], quaternion(seen[:, 3:6]), 0.08 * (1 - seen[:, 6:])], axis=1)
        for step in range(STEPS):
            add(
                dataset,
                {
                    "observation.state": state[step].astype(np.float32),
                    "action": action[step].astype(np.float32),
                    "observation.images.front": picture(FRONT, episode, step),
                    "observation.images.wrist": picture(WRIST, episode, step),
                },
            )
        dataset.save_episode()
    finish(dataset)


def joints(root: Path) -> None:
    """state and action: seven joints [degrees] and the gripper, 0 closed to 100 open."""
    column = {"dtype": "float32", "shape": (8,), "names": [*JOINTS, "gripper.pos"]}
    features = {"observation.state": column, "action": column}
    dataset = LeRobotDataset.create("test/joints", FPS, features, root=root, robot_type="panda", use_videos=False)
    for episode in range(EPISODES):
        start = np.array([0, 10, 0, -120, 0, 130, 45.0])
        end = np.array([10 * episode, 25, 5, -100, 5, 120, 60.0])
        opening = np.where(np.arange(STEPS) < 18, 100.0, 5.0)[:, None]
        action = np.concatenate([start + (end - start) * share(), opening], axis=1).astype(np.float32)
        state = action[np.maximum(np.arange(STEPS) - 1, 0)]
        for step in range(STEPS):
            add(dataset, {"observation.state": state[step], "action": action[step]})
        dataset.save_episode()
    finish(dataset)


def add(dataset: LeRobotDataset, frame: dict[str, np.ndarray]) -> None:
    """Adds a frame, by either release's call."""
    if CODEBASE_VERSION == "v3.0":
        dataset.add_frame({**frame, "task": TASK})
    else:
        dataset.add_frame(frame, task=TASK)


def finish(dataset: LeRobotDataset) -> None:
    """v3.0 writes its footers only now."""
    if CODEBASE_VERSION == "v3.0":
        dataset.finalize()
    shutil.rmtree(dataset.root / "images", ignore_errors=True)


def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the names of who wrote it."""
    entry.uname = entry.gname = ""
    entry.uid = entry.gid = 0
    return entry


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        poses(Path(folder) / "poses")
        joints(Path(folder) / "joints")
        with tarfile.open(Path(sys.argv[1]) / f"lerobot-{CODEBASE_VERSION}.tar.xz", "w:xz") as archive:
            for name in ("poses", "joints"):
                archive.add(Path(folder) / name, name, filter=anonymous)
