"""Our simulator's demonstrations: robomimic's HDF5 layout, with what is needed to read its actions as `ee_pose`.

    data/                attrs: total, env_args (robomimic's), headstart (ours: a JSON object, see Header)
      demo_0/            attrs: num_samples, model_file, seed, success
        actions [T, 7]   what robosuite was given at t: grip site position in the world 3, rotation vector 3, gripper 1
        states [T, 1+nq+nv], rewards [T], dones [T]
        obs/<key> [T, width] float32
    failed/demo_0/ ...   attempts that failed, alike: kept to be counted and looked at, never trained on
    mask/train, mask/valid   names of the demos in data/

Observation and state at t are those before the action at t. `trainer/simulation/recording.py` writes such files.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from shared.demonstrated_motions import MovedObject
from shared.errors import DemonstrationError
from shared.rotation import matrix_to_rot6d, rotvec_to_matrix
from trainer.data.demonstrations.episode import ActionLabel, Demonstrations, Episode, FloatArray, is_validation
from trainer.data.demonstrations.formats.hdf5 import open_hdf5, values
from trainer.poses import Frames

FORMAT_VERSION = 1
_JOINTS = slice(1, 8)
"""Of a state: after the time, generalized positions begin with the arm's seven joints."""
ACTION_ENCODING = "site_in_world: position 3, rotation vector 3, gripper 1 (+1 close)"


@dataclass(frozen=True)
class Header:
    """What a file of demonstrations says of itself.

    Attributes:
        task: name of the task.
        robot: name of the robot, as in the catalogue.
        rate_hz: control rate.
        action_label: what the action at t is: `command`, the pose commanded at t, or `reached`.
        observation_widths: each observation key with its width, in the order in which they are joined.
        world_base: pose of the robot's base in the world, (4, 4).
        site_tcp: pose of the tool centre point in the commanded site's frame, (4, 4).
        first_seed: seed of the first attempt; attempt i had seed first_seed + i.
        expert_version: of the scripted experts and the observation.
        yaw_symmetry: of each object whose poses are observed (shared.demonstrated_motions.MovedObject).
    """

    task: str
    robot: str
    rate_hz: float
    action_label: ActionLabel
    observation_widths: dict[str, int]
    world_base: list[list[float]]
    site_tcp: list[list[float]]
    first_seed: int
    expert_version: int
    yaw_symmetry: dict[str, int] = field(default_factory=dict)
    action_encoding: str = ACTION_ENCODING
    format_version: int = FORMAT_VERSION

    @property
    def frames(self) -> Frames:
        """The transforms between the file's poses and ours."""
        base, tcp = np.array(self.world_base), np.array(self.site_tcp)
        return Frames((base[:3, 3], base[:3, :3]), (tcp[:3, 3], tcp[:3, :3]))


def read_header(path: Path) -> Header:
    """What a file of demonstrations says of itself.

    Raises:
        DemonstrationError: it isn't there, isn't whole, or isn't one of ours.
    """
    with open_hdf5(path) as file:
        return _header(file, path)


def count_attempts(path: Path) -> tuple[int, int]:
    """How many attempts succeeded and how many failed.

    Raises:
        DemonstrationError: as `read_header`.
    """
    with open_hdf5(path) as file:
        _header(file, path)
        return len(file["data"]), len(file["failed"])


def is_simulators(path: Path) -> bool:
    """Whether a file is one of ours. Raises DemonstrationError where it isn't there or isn't whole."""
    with open_hdf5(path) as file:
        # Exports of the service have the attribute too, but no failed attempts.
        return "failed" in file and "headstart" in file.get("data", file).attrs


def read_simulator(path: Path) -> Demonstrations:
    """The demonstrations of a file of ours, all of them, in the order of their seeds.

    Raises:
        DemonstrationError: the file isn't there, isn't whole or isn't one of ours; or a demonstration in it isn't as
            the header says. Names the demonstration.
    """
    with open_hdf5(path) as file:
        header = _header(file, path)
        return Demonstrations(
            task=header.task,
            robot=header.robot,
            rate_hz=header.rate_hz,
            observation_widths=header.observation_widths,
            episodes=_read_group(file, "data", header, path),
            failed=_read_group(file, "failed", header, path),
            action_label=header.action_label,
            objects=tuple(MovedObject(*thing) for thing in header.yaw_symmetry.items()),
        )


def _header(file: h5py.File, path: Path) -> Header:
    data = file.get("data")
    text = None if data is None else data.attrs.get("headstart")
    if text is None or "failed" not in file:
        raise DemonstrationError(
            "isn't a file of ours: it lacks the 'headstart' attribute that says how its actions are meant", path
        )
    try:
        header = Header(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise DemonstrationError(f"its 'headstart' attribute can't be read ({error})", path) from error
    if header.format_version != FORMAT_VERSION or header.action_encoding != ACTION_ENCODING:
        raise DemonstrationError(
            f"has format {header.format_version} with actions '{header.action_encoding}'; this version reads format "
            f"{FORMAT_VERSION} with '{ACTION_ENCODING}'",
            path,
        )
    return header


def _read_group(file: h5py.File, group: str, header: Header, path: Path) -> tuple[Episode, ...]:
    episodes = []
    for index in range(len(file[group])):
        name = f"{group}/demo_{index}"
        try:
            episodes.append(_read_episode(file[name], name, header))
        except (KeyError, ValueError, TypeError, IndexError, OSError) as error:
            raise DemonstrationError(f"{name}: {error}", path) from error
    return tuple(episodes)


def _read_episode(demo: h5py.Group, name: str, header: Header) -> Episode:
    length = int(demo.attrs["num_samples"])
    if length < 1:
        raise ValueError("has no steps")
    index = int(name.rpartition("_")[2])
    observations = {
        key: values(demo, f"obs/{key}", (length, width)).astype(np.float32)
        for key, width in header.observation_widths.items()
    }
    states = values(demo, "states", (length, None))
    return Episode(
        name=name,
        counterpart=states[:, _JOINTS].astype(np.float32) if states.shape[1] >= _JOINTS.stop else None,
        tool=_pose(observations, "tcp") if {"tcp_position", "tcp_rotation_6d"} <= observations.keys() else None,
        objects={thing: _pose(observations, thing) for thing in header.yaw_symmetry},
        seed=int(demo.attrs["seed"]),
        success=bool(demo.attrs["success"]),
        validation=is_validation(index),
        observations=observations,
        actions=_from_site(values(demo, "actions", (length, 7)), header.frames).astype(np.float32),
        initial_state=states[0],
    )


def _pose(observations: dict[str, NDArray[np.float32]], name: str) -> NDArray[np.float32]:
    """(T, 9) position and rotation_6d of the tool or of an object."""
    return np.concatenate([observations[f"{name}_position"], observations[f"{name}_rotation_6d"]], axis=1)


def _from_site(actions: FloatArray, frames: Frames) -> FloatArray:
    """(T, 7) that robosuite takes to (T, 10) `ee_pose`."""
    position, rotation = frames.tcp_from_site((actions[:, :3], rotvec_to_matrix(actions[:, 3:6])))
    return np.concatenate([position, matrix_to_rot6d(rotation), actions[:, 6:]], axis=1)
