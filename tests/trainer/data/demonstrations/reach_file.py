"""robomimic files of a made-up arm's reaches, with any columns, and what is read of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.rotation import matrix_to_rot6d, matrix_to_rotvec
from tests.trainer.data.demonstrations.example import RANGES, Reach, mapping, plain_columns, reach, write_robomimic
from trainer.data.demonstrations import read_demonstrations
from trainer.data.demonstrations.episode import Demonstrations

Columns = dict[str, NDArray[Any]]
EPISODES = 6


def read(folder: Path, columns: Callable[[Reach], Mapping[str, NDArray[Any]]], **changes: Any) -> Demonstrations:
    path = write_robomimic(folder / "demos.hdf5", EPISODES, columns)
    return read_demonstrations(path, mapping=mapping(**changes), ranges=RANGES)


def with_columns(**columns: Callable[[Reach], NDArray[Any]]) -> Callable[[Reach], Columns]:
    """The plain columns, and others beside them or in their place."""
    return lambda motion: plain_columns(motion) | {name: make(motion) for name, make in columns.items()}


def actions_of(motion: Reach) -> NDArray[np.float64]:
    return np.concatenate([motion.position, matrix_to_rot6d(motion.rotation), motion.gripper[:, None]], axis=1)


def assert_true(demonstrations: Demonstrations, tolerance: float = 1e-6) -> None:
    for seed, episode in enumerate(demonstrations.episodes):
        assert np.abs(episode.actions - actions_of(reach(seed))).max() < tolerance


def delta_columns(axes: str, source: str) -> Callable[[Reach], Columns]:
    def columns(motion: Reach) -> Columns:
        seen = motion.seen()
        before_p, before_r = seen.position, seen.rotation
        if source == "command":
            before_p = np.concatenate([seen.position[:1], motion.position[:-1]])
            before_r = np.concatenate([seen.rotation[:1], motion.rotation[:-1]])
        shift = motion.position - before_p
        turn = motion.rotation @ np.swapaxes(before_r, 1, 2)
        if axes == "tool":
            shift = np.einsum("tji,tj->ti", before_r, shift)
            turn = np.swapaxes(before_r, 1, 2) @ motion.rotation
        return plain_columns(motion) | {"position": shift / 0.05, "rotation": matrix_to_rotvec(turn) / 0.5}

    return columns


JOINTS: dict[str, Any] = {
    "action__space": "joint_position",
    "action__position": None,
    "action__rotation": None,
    "action__joint_position": {"columns": "joints"},
    "state": {"joint_position": {"columns": "obs/joints"}},
}
