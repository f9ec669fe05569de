"""Demonstrations on disk: robomimic's HDF5 layout, with what is needed to read its actions as `ee_pose`.

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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from shared.errors import DemonstrationError
from shared.rotation import matrix_to_rot6d, rotvec_to_matrix
from trainer.simulation.frames import Frames

FloatArray = NDArray[np.float64]

FORMAT_VERSION = 1
ACTION_ENCODING = "site_in_world: position 3, rotation vector 3, gripper 1 (+1 close)"


def is_validation(index: int) -> bool:
    """Whether demo_<index> is held out: every tenth, from the fifth on, so that five are enough to have one."""
    return index % 10 == 4


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
    """

    task: str
    robot: str
    rate_hz: float
    action_label: str
    observation_widths: dict[str, int]
    world_base: list[list[float]]
    site_tcp: list[list[float]]
    first_seed: int
    expert_version: int
    action_encoding: str = ACTION_ENCODING
    format_version: int = FORMAT_VERSION

    @property
    def frames(self) -> Frames:
        """The transforms between the file's poses and ours."""
        base, tcp = np.array(self.world_base), np.array(self.site_tcp)
        return Frames((base[:3, 3], base[:3, :3]), (tcp[:3, 3], tcp[:3, :3]))


@dataclass(frozen=True, eq=False)
class Episode:
    """A demonstration as a policy is trained on it, T control steps.

    Attributes:
        name: its name in the file.
        seed: of the environment.
        success: whether the attempt succeeded.
        validation: whether it is held out.
        observations: each key's values before each action, (T, width) float32.
        actions: `ee_pose` (T, 10) float32.
        initial_state: (1+nq+nv,) time, generalized positions and velocities at its start.
    """

    name: str
    seed: int
    success: bool
    validation: bool
    observations: dict[str, NDArray[np.float32]]
    actions: NDArray[np.float32]
    initial_state: FloatArray


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """A file of demonstrations.

    Attributes:
        header: what the file says of itself.
        episodes: those that succeeded, in the order of their seeds.
        failed: those that did not.
    """

    header: Header
    episodes: tuple[Episode, ...]
    failed: tuple[Episode, ...] = ()

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.header.task

    @property
    def robot(self) -> str:
        """Name of the robot."""
        return self.header.robot

    @property
    def rate_hz(self) -> float:
        """Control rate [Hz]."""
        return self.header.rate_hz

    @property
    def action_label(self) -> str:
        """What the action at t is: `command` or `reached`."""
        return self.header.action_label

    @property
    def observation_keys(self) -> tuple[str, ...]:
        """The observation's keys in the order in which they are joined."""
        return tuple(self.header.observation_widths)

    @property
    def attempts(self) -> int:
        """How many attempts were made for these."""
        return len(self.episodes) + len(self.failed)


def read_header(path: Path) -> Header:
    """What a file of demonstrations says of itself.

    Raises:
        DemonstrationError: it isn't there, isn't whole, or isn't one of ours.
    """
    with _open(path) as file:
        return _header(file, path)


def count_attempts(path: Path) -> tuple[int, int]:
    """How many attempts succeeded and how many failed.

    Raises:
        DemonstrationError: as `read_header`.
    """
    with _open(path) as file:
        _header(file, path)
        return len(file["data"]), len(file["failed"])


def read_demonstrations(path: Path | str, count: int | None = None) -> Demonstrations:
    """The demonstrations of a file, or the first `count` of them.

    Raises:
        DemonstrationError: the file isn't there, isn't whole, isn't one of ours or has fewer; `count` is below 1; or
            a demonstration in it isn't as the header says. Names the demonstration.
    """
    path = Path(path)
    if count is not None and count < 1:
        raise DemonstrationError(f"{count} demonstrations were asked for; ask for 1 at least, or for all", path)
    with _open(path) as file:
        header = _header(file, path)
        episodes = _read_group(file, "data", header, path)
        failed = _read_group(file, "failed", header, path)
    if not episodes:
        raise DemonstrationError("has no successful demonstration", path)
    if count is not None and count > len(episodes):
        raise DemonstrationError(f"has {len(episodes)} demonstrations, {count} were asked for", path)
    return Demonstrations(header, episodes[:count], failed)


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    if not path.is_file():
        raise DemonstrationError("there is no such file", path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:
        raise DemonstrationError(f"isn't a whole HDF5 file of demonstrations ({error})", path) from error


def _header(file: h5py.File, path: Path) -> Header:
    data = file.get("data")
    text = None if data is None else data.attrs.get("headstart")
    if text is None or "failed" not in file:
        raise DemonstrationError(
            "isn't a file of ours: it lacks the 'headstart' attribute that says how its actions are meant", path
        )
    try:
        values = json.loads(text)
        header = Header(**values)
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
        key: _values(demo, f"obs/{key}", (length, width)).astype(np.float32)
        for key, width in header.observation_widths.items()
    }
    states = demo["states"]
    if states.ndim != 2:
        raise ValueError(f"'states' has shape {states.shape}, expected ({length}, 1 + nq + nv)")
    return Episode(
        name=name,
        seed=int(demo.attrs["seed"]),
        success=bool(demo.attrs["success"]),
        validation=is_validation(index),
        observations=observations,
        actions=_from_site(_values(demo, "actions", (length, 7)), header.frames).astype(np.float32),
        initial_state=_values(demo, "states", (length, states.shape[1]))[0],
    )


def _values(demo: h5py.Group, key: str, shape: tuple[int, ...]) -> NDArray[Any]:
    if key not in demo:
        raise ValueError(f"lacks '{key}'")
    dataset = demo[key]
    if dataset.shape != shape:
        raise ValueError(f"'{key}' has shape {dataset.shape}, expected {shape}")
    values = np.asarray(dataset)
    if not np.isfinite(values).all():
        step, column = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"'{key}' is not finite at step {step}, column {column}")
    return values


def _from_site(actions: FloatArray, frames: Frames) -> FloatArray:
    """(T, 7) that robosuite takes to (T, 10) `ee_pose`."""
    position, rotation = frames.tcp_from_site((actions[:, :3], rotvec_to_matrix(actions[:, 3:6])))
    return np.concatenate([position, matrix_to_rot6d(rotation), actions[:, 6:]], axis=1)
