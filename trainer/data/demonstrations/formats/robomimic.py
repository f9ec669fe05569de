"""robomimic's and MimicGen's HDF5 files.

    data/                attrs: total, env_args (JSON: env_name, env_kwargs with control_freq and robots)
      demo_0/            attrs: num_samples, model_file (the scene's MJCF, of robosuite's files)
        actions [T, A]   and others, such as actions_abs, action_dict/<key>
        obs/<key> [T, width], or uint8 [T, height, width, 3] of a camera; some recorders write [T, 3, height, width]
        ...              whatever else a recorder adds, such as MimicGen's src_demo_inds; it may be of any shape
    mask/<filter key>    names of demos in data/

Layout: https://robomimic.github.io/docs/datasets/overview.html. A column is a path inside a demo, such as `obs/object`.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Dict
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from shared.errors import ConfigError, DemonstrationError
from trainer.data.demonstrations.checks.faults import ColumnFault
from trainer.data.demonstrations.episode import FloatArray, Images, is_validation
from trainer.data.demonstrations.formats.frame_cache import FrameCache
from trainer.data.demonstrations.formats.hdf5 import demo_names, open_hdf5, values
from trainer.data.demonstrations.formats.robosuite_frames import robosuite_frames
from trainer.data.demonstrations.formats.video import Picture, resize
from trainer.data.demonstrations.mapping.mapping import Mapping
from trainer.data.demonstrations.mapping.motion import RawEpisode
from trainer.data.demonstrations.source import Chosen, Contents
from trainer.poses import Frames

# What robomimic's own scripts call the two parts of a split.
_TRAIN, _VALID = "train", "valid"
# Pictures read at once: compressed files hold them in blocks of many.
_BLOCK = 64
# Demos that are looked at for what a file holds.
_LOOKED_AT = 20


class RobomimicFile:
    """A Source: one HDF5 file.

    Attributes:
        path: of the file.
        contents: what it says of itself.
    """

    def __init__(self, path: Path, cache: FrameCache | None) -> None:
        """Raises DemonstrationError where the file isn't there, isn't whole or has no demos."""
        self.path, self._cache = path, cache
        with open_hdf5(path) as file:
            data = file.get("data")
            self._names = demo_names(data) if isinstance(data, h5py.Group) else []
            if not self._names:
                raise DemonstrationError("has no group 'data' with demos; it is not robomimic's layout", path)
            self._env_args = _env_args(file)
            self.contents = self._describe(file)

    def choose(self, mapping: Mapping) -> Sequence[Chosen]:
        """The demos of the mapping's masks, else of train and valid, else all.

        Held out are those of the mask for it, else every tenth of those that are used.
        """
        masks = self.contents.masks
        for key in (mapping.filter_key, mapping.validation_filter_key):
            if key is not None and key not in masks:
                raise ConfigError(f"{self.path} has no mask '{key}'; it has {', '.join(masks) or 'none'}")
        train, valid = mapping.filter_key, mapping.validation_filter_key
        if train is None and valid is None and {_TRAIN, _VALID} <= set(masks):
            train, valid = _TRAIN, _VALID
        with open_hdf5(self.path) as file:
            used = set(self._names if train is None else self._mask(file, train))
            held_out = set() if valid is None else set(self._mask(file, valid))
        wanted = used | held_out
        chosen = [(index, name) for index, name in enumerate(self._names) if name in wanted]
        return [
            Chosen(index, name in held_out if valid is not None else is_validation(place))
            for place, (index, name) in enumerate(chosen)
        ]

    def look(self, index: int, columns: Sequence[str]) -> tuple[RawEpisode, dict[str, ColumnFault]]:
        """A demo's columns, and what is wrong with those that can't be used. Raises DemonstrationError."""
        name = f"data/{self._names[index]}"
        found: dict[str, FloatArray] = {}
        faults: dict[str, ColumnFault] = {}
        with open_hdf5(self.path) as file:
            demo = file[name]
            try:
                length = _steps(demo, columns)
                if length < 1:
                    raise ValueError("has no steps")
                for column in columns:
                    try:
                        found[column] = _numbers(demo, column, length)
                    except ColumnFault as fault:
                        faults[column] = fault
            except (KeyError, ValueError, TypeError, OSError) as error:
                raise DemonstrationError(f"{name}: {error}", self.path) from error
            frames = self._frames(demo)
        return RawEpisode(name, found, frames), faults

    def read(self, index: int, columns: Sequence[str]) -> RawEpisode:
        """A demo's columns. Raises DemonstrationError naming the demo."""
        episode, faults = self.look(index, columns)
        for fault in faults.values():
            raise DemonstrationError(f"{episode.name}: {fault}", self.path) from fault
        return episode

    def images(self, index: int, camera: str, size: tuple[int, int] | None) -> Images:
        """A demo's pictures: mapped where they lie as they are, else decoded into the cache.

        Raises DemonstrationError naming the demo where they are of another size, or not one for each step.
        """
        name = f"data/{self._names[index]}"
        with open_hdf5(self.path) as file:
            dataset, stored = file[name].get(camera), self.contents.cameras[camera]
            if not isinstance(dataset, h5py.Dataset) or picture_size(dataset) != stored:
                raise DemonstrationError(f"{name}: '{camera}' has no pictures of {stored[0]} x {stored[1]}", self.path)
            steps, offset = len(dataset), dataset.id.get_offset()
            wanted = file[name].attrs.get("num_samples", steps)
            if steps != wanted:
                raise DemonstrationError(
                    f"{name}: '{camera}' has {steps} pictures, num_samples is {wanted}; each step needs one, taken "
                    "before its action",
                    self.path,
                )
            as_they_are = size in (None, stored) and not channels_first(dataset)
            if offset is not None and as_they_are and not file.userblock_size:
                frames = np.memmap(self.path, np.uint8, "r", offset, dataset.shape)
                status = self.path.stat()
                key = f"{self.path.resolve()}|{status.st_size}|{status.st_mtime_ns}|{offset}"
                return Images(np.asarray(frames), np.arange(steps), key)
            if self._cache is None:
                raise ConfigError(f"{self.path}: its pictures need a folder to be decoded into")
            decoded = self._cache.get(
                self.path, f"{name}/{camera}", size or stored, steps, lambda: _pictures(dataset, size or stored)
            )
        return Images(decoded.frames, np.arange(steps), decoded.key)

    def _frames(self, demo: h5py.Group) -> Dict[str, Frames]:
        """The frames of robosuite's scene. Scenes of a file differ in their objects as a rule, seldom in the robot."""
        scene = demo.attrs.get("model_file")
        return robosuite_frames(scene, self._env_args) if isinstance(scene, str) else {}

    def _describe(self, file: h5py.File) -> Contents:
        columns: dict[str, int] = {}
        cameras: dict[str, tuple[int, int]] = {}
        others: dict[str, str] = {}

        def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
            # What next_obs/ holds is obs/, a step later.
            if not isinstance(item, h5py.Dataset) or name.startswith("next_obs/"):
                return
            if (size := picture_size(item)) is not None:
                cameras.setdefault(name, size)
            elif item.ndim in (1, 2) and item.dtype.kind in "fiub":
                columns.setdefault(name, int(item.shape[1]) if item.ndim == 2 else 1)
            else:
                others.setdefault(name, f"shape {item.shape} of {item.dtype}; a column has one row of numbers a step")

        # What the first lacks, as some recorders leave out what did not happen, is in others.
        for demo in self._names[:_LOOKED_AT]:
            file["data"][demo].visititems(visit)
        kwargs = self._env_args.get("env_kwargs") or {}
        robots, rate = kwargs.get("robots"), kwargs.get("control_freq")
        robot = robots[0] if isinstance(robots, list) and robots else robots
        task = self._env_args.get("env_name")
        return Contents(
            format="robomimic HDF5",
            episodes=len(self._names),
            columns=columns,
            cameras=cameras,
            rate_hz=float(rate) if isinstance(rate, int | float) and rate > 0 else None,
            robot=robot.lower() if isinstance(robot, str) else None,
            tasks=(task,) if isinstance(task, str) else (),
            masks=tuple(sorted(file["mask"])) if "mask" in file else (),
            others={name: why for name, why in others.items() if name not in {**columns, **cameras}},
        )

    def _mask(self, file: h5py.File, key: str) -> list[str]:
        names = [name.decode() if isinstance(name, bytes) else str(name) for name in np.asarray(file[f"mask/{key}"])]
        missing = sorted(set(names) - set(self._names))
        if missing:
            raise DemonstrationError(f"mask '{key}' names {missing[0]}, which is not in it", self.path)
        return names


def picture_size(dataset: h5py.Dataset) -> tuple[int, int] | None:
    """Height and width of RGB pictures, (T, height, width, 3) or (T, 3, height, width) of uint8; None of all else."""
    if dataset.ndim != 4 or dataset.dtype != np.uint8 or 3 not in (dataset.shape[1], dataset.shape[3]):
        return None
    height, width = dataset.shape[2:] if channels_first(dataset) else dataset.shape[1:3]
    return int(height), int(width)


def channels_first(dataset: h5py.Dataset) -> bool:
    """Whether pictures are (3, height, width), and can't be (height, width, 3)."""
    return bool(dataset.shape[3] != 3)


def _pictures(dataset: h5py.Dataset, size: tuple[int, int]) -> Iterator[tuple[float, Picture]]:
    turned = channels_first(dataset)
    for start in range(0, len(dataset), _BLOCK):
        block = dataset[start : start + _BLOCK]
        for step, picture in enumerate(np.moveaxis(block, 1, -1) if turned else block, start):
            yield float(step), resize(np.ascontiguousarray(picture), size)


def _env_args(file: h5py.File) -> dict[str, Any]:
    try:
        env = json.loads(file["data"].attrs.get("env_args", "{}"))
    except (ValueError, TypeError):
        return {}
    return env if isinstance(env, dict) else {}


def _steps(demo: h5py.Group, columns: Sequence[str]) -> int:
    """How many steps a demo has: what it says, else its actions, else what most of the columns have."""
    if "num_samples" in demo.attrs:
        return int(demo.attrs["num_samples"])
    found = [demo.get(column) for column in ("actions", *columns)]
    lengths = [len(item) for item in found if isinstance(item, h5py.Dataset) and item.ndim]
    if isinstance(found[0], h5py.Dataset) and found[0].ndim:
        return lengths[0]
    if not lengths:
        raise ColumnFault("missing", f"lacks '{columns[0]}'" if columns else "lacks 'actions'")
    return Counter(lengths).most_common(1)[0][0]


def _numbers(demo: h5py.Group, column: str, length: int) -> FloatArray:
    dataset = demo.get(column)
    one_column = isinstance(dataset, h5py.Dataset) and dataset.ndim == 1
    array = values(demo, column, (length,) if one_column else (length, None))
    return np.asarray(array, np.float64).reshape(length, -1)
