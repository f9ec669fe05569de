"""LeRobot data sets, v3.0 and v2.1: a folder of Parquet and MP4 files, read without LeRobot.

    meta/info.json                                fps, robot_type, features, data_path and video_path
    meta/episodes/chunk-000/file-000.parquet      v3: an episode a row; v2.1: meta/episodes.jsonl
    data/chunk-000/file-000.parquet               v3: many episodes a file; v2.1: episode_000000.parquet, one each
    videos/<key>/chunk-000/file-000.mp4           likewise, where a camera's dtype is "video"

Format: https://huggingface.co/docs/lerobot/lerobot-dataset-v3. A column is a feature, such as `observation.state`.
"""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Dict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shared.errors import ConfigError, DemonstrationError
from trainer.demonstrations.episode import FloatArray, Images, is_validation
from trainer.demonstrations.finite import require_finite
from trainer.demonstrations.frame_cache import FrameCache
from trainer.demonstrations.lerobot_meta import Entry, Meta, read_meta
from trainer.demonstrations.mapping import Mapping
from trainer.demonstrations.motion import RawEpisode
from trainer.demonstrations.source import Chosen, Contents
from trainer.demonstrations.video import Picture, decode_picture, decode_video

# What the format itself needs, none of it of the robot.
_BOOKKEEPING = ("timestamp", "frame_index", "episode_index", "index", "task_index")
# Files that are kept in memory: numbers, times, and pictures of a few cameras.
_TABLES = 4


class LeRobotDataset:
    """A Source: one data set's folder.

    Attributes:
        path: of the folder.
        contents: what it says of itself.
    """

    def __init__(self, path: Path, cache: FrameCache | None) -> None:
        """Raises DemonstrationError where it isn't whole, or is of a version that this can't read."""
        self.path, self._cache = path, cache
        self._meta = read_meta(path)
        self._tables: dict[tuple[Path, tuple[str, ...]], pa.Table] = {}
        self._steps_in_videos: dict[str, dict[Path, int]] = {}
        self.contents = _describe(self._meta)

    def choose(self, mapping: Mapping) -> Sequence[Chosen]:
        """The episodes of the mapping's task; of these, every tenth is held out."""
        for key in ("filter_key", "validation_filter_key"):
            if getattr(mapping, key) is not None:
                raise ConfigError(f"{self.path}: {key} is of robomimic's files; a LeRobot data set has no masks")
        only = mapping.only_task
        episodes = enumerate(self._meta.episodes)
        used = [index for index, entry in episodes if only in (None, "*") or only in entry.tasks]
        # By the place among these: tasks recorded in turn would else have all of their episodes held out, or none.
        return [Chosen(index, is_validation(place)) for place, index in enumerate(used)]

    def read(self, index: int, columns: Sequence[str]) -> RawEpisode:
        """An episode's columns. Raises DemonstrationError naming its file."""
        entry = self._meta.episodes[index]
        rows, path = self._rows(entry, columns)
        try:
            found = {name: _numbers(rows, name) for name in columns}
        except ValueError as error:
            raise DemonstrationError(f"episode {entry.index}: {error}", path) from error
        return RawEpisode(f"episode {entry.index}", found, {})

    def images(self, index: int, camera: str, size: tuple[int, int] | None) -> Images:
        """An episode's pictures, decoded into the cache. Raises DemonstrationError naming their file."""
        if self._cache is None:
            raise ConfigError(f"{self.path}: its pictures need a folder to be decoded into")
        entry, stored = self._meta.episodes[index], self.contents.cameras[camera]
        is_video = self._meta.features[camera]["dtype"] == "video"
        path = self._meta.video_path(entry, camera) if is_video else self._meta.data_path(entry)
        try:
            if is_video:
                return self._from_video(self._cache, path, entry, camera, stored, size or stored)
            return self._from_table(self._cache, path, entry, camera, stored, size or stored)
        except OSError as error:
            raise DemonstrationError(f"can't be read ({error.strerror}); is the data set whole?", path) from error
        except ValueError as error:
            raise DemonstrationError(f"episode {entry.index}: '{camera}' {error}", path) from error

    def _from_video(
        self, cache: FrameCache, path: Path, entry: Entry, camera: str, stored: tuple[int, int], size: tuple[int, int]
    ) -> Images:
        if camera not in self._steps_in_videos:
            self._steps_in_videos[camera] = self._meta.steps_in_videos(camera)
        expected = self._steps_in_videos[camera][path]
        decoded = cache.get(path, "", size, expected, lambda: decode_video(path, stored, size))
        if not len(decoded.times):
            raise ValueError("holds no picture")
        times = self._times(entry) + entry.video_start.get(camera, 0.0)
        rows = _nearest(decoded.times, times)
        missing = np.abs(decoded.times[rows] - times) > 0.5 / self._meta.fps
        if missing.any():
            step = int(np.argmax(missing))
            raise ValueError(
                f"has no frame for step {step}, at {times[step]:.3f} s; it ends at {decoded.times[-1]:.3f} s: is it "
                "whole?"
            )
        return Images(decoded.frames, rows, decoded.key)

    def _from_table(
        self, cache: FrameCache, path: Path, entry: Entry, camera: str, stored: tuple[int, int], size: tuple[int, int]
    ) -> Images:
        """Pictures that lie in the Parquet file, as PNG or JPEG."""

        def decode() -> Iterator[tuple[float, Picture]]:
            rows, _ = self._rows(entry, [camera])
            for step, value in enumerate(rows.column(camera).to_pylist()):
                if not value or not value.get("bytes"):
                    raise ValueError(f"has no picture at step {step}")
                yield float(step), decode_picture(value["bytes"], stored, size)

        decoded = cache.get(path, f"{entry.index}/{camera}", size, entry.length, decode)
        return Images(decoded.frames, np.arange(entry.length), decoded.key)

    def _times(self, entry: Entry) -> FloatArray:
        """Time of each step in its episode [s]."""
        return _numbers(self._rows(entry, ["timestamp"])[0], "timestamp")[:, 0]

    def _rows(self, entry: Entry, columns: Sequence[str]) -> tuple[pa.Table, Path]:
        """An episode's rows in the order of its steps, and the file that they are in."""
        path = self._meta.data_path(entry)
        table = self._read_file(path, columns)
        # Sorted by episode and then by step, as every writer of the format leaves it.
        first, end = np.searchsorted(table.column("episode_index").to_numpy(), [entry.index, entry.index + 1])
        rows = table.slice(first, end - first)
        if not np.array_equal(rows.column("frame_index").to_numpy(), np.arange(entry.length)):
            raise DemonstrationError(
                f"has {rows.num_rows} steps of episode {entry.index}, meta/ says {entry.length}: is it whole?", path
            )
        return rows, path

    def _read_file(self, path: Path, columns: Sequence[str]) -> pa.Table:
        """A file's columns. The last few are kept, since episodes lie one after the other."""
        wanted = tuple(sorted({*columns, "episode_index", "frame_index"}))
        if (path, wanted) not in self._tables:
            try:
                table = pq.read_table(path, columns=list(wanted), partitioning=None)
                # LeRobot writes a group of rows for each episode: every look at a column in pieces would join them all.
                # Pictures are left so: together they may be more than a column can hold in one piece.
                if not self.contents.cameras.keys() & wanted:
                    table = table.combine_chunks()
            except (OSError, pa.ArrowException) as error:
                raise DemonstrationError(f"can't be read as Parquet ({_first_line(error)})", path) from error
            missing = sorted(set(wanted) - set(table.column_names))
            if missing:
                raise DemonstrationError(f"lacks '{missing[0]}', which meta/info.json says it has", path)
            if len(self._tables) == _TABLES:
                del self._tables[next(iter(self._tables))]
            self._tables[path, wanted] = table
        return self._tables[path, wanted]


def _describe(meta: Meta) -> Contents:
    columns, cameras = {}, {}
    for name, feature in meta.features.items():
        shape = tuple(feature["shape"])
        if name in _BOOKKEEPING:
            continue
        if feature["dtype"] in ("video", "image"):
            cameras[name] = _picture_size(feature, shape)
        elif re.fullmatch(r"(float|int|uint)\d+|bool", feature["dtype"]) and len(shape) == 1:
            columns[name] = int(shape[0])
    components = {name: _component_names(meta.features[name].get("names")) for name in columns}
    return Contents(
        format=f"LeRobot {meta.version}",
        episodes=len(meta.episodes),
        columns=columns,
        cameras=cameras,
        rate_hz=meta.fps,
        robot=meta.robot,
        tasks=tuple(sorted({task for entry in meta.episodes for task in entry.tasks})),
        defaults=tuple(name for name in (*columns, *cameras) if name.split(".")[0] == "observation"),
        components={name: names for name, names in components.items() if names},
    )


def _component_names(names: Any) -> tuple[str, ...]:
    """A list of names, or as some writers have it, an object that holds one."""
    if isinstance(names, dict) and len(names) == 1:
        (names,) = names.values()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _picture_size(feature: Dict[str, Any], shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width: the channels are last, or first where the names say so."""
    names = feature.get("names") or []
    channels_first = "channel" in str(names[0]) if isinstance(names, list) and names else shape[0] in (1, 3)
    height, width = shape[1:] if channels_first else shape[:2]
    return int(height), int(width)


def _numbers(rows: pa.Table, name: str) -> FloatArray:
    column = rows.column(name).combine_chunks()
    if column.null_count:
        raise ValueError(f"'{name}' lacks a value")
    values: NDArray[Any]
    if pa.types.is_fixed_size_list(column.type) or pa.types.is_list(column.type):
        flat = column.flatten()
        if flat.null_count or len(flat) % max(1, len(column)):
            raise ValueError(f"'{name}' does not have the same width in every step")
        values = flat.to_numpy(zero_copy_only=False).reshape(len(column), -1)
    else:
        values = column.to_numpy(zero_copy_only=False).reshape(len(column), 1)
    values = np.asarray(values, np.float64)
    require_finite(values, name)
    return values


def _nearest(times: FloatArray, wanted: FloatArray) -> NDArray[np.int64]:
    """Index of the nearest of ascending times to each wanted one."""
    after = np.clip(np.searchsorted(times, wanted), 1, max(1, len(times) - 1))
    before = after - 1
    if len(times) < 2:
        return np.zeros(len(wanted), np.int64)
    return np.where(wanted - times[before] <= times[after] - wanted, before, after).astype(np.int64)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
