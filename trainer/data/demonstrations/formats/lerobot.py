"""LeRobot data sets, v3.0 and v2.1: a folder of Parquet and MP4 files, read without LeRobot.

    meta/info.json                                fps, robot_type, features, data_path and video_path
    meta/episodes/chunk-000/file-000.parquet      v3: an episode a row; v2.1: meta/episodes.jsonl
    data/chunk-000/file-000.parquet               v3: many episodes a file; v2.1: episode_000000.parquet, one each
    videos/<key>/chunk-000/file-000.mp4           likewise, where a camera's dtype is "video"

Format: https://huggingface.co/docs/lerobot/lerobot-dataset-v3. A column is a feature, such as `observation.state`.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shared.errors import ConfigError, DemonstrationError
from trainer.data.demonstrations.checks.faults import ColumnFault
from trainer.data.demonstrations.checks.finite import require_finite
from trainer.data.demonstrations.episode import FloatArray, Images, is_validation
from trainer.data.demonstrations.formats.arrow_numbers import arrow_numbers
from trainer.data.demonstrations.formats.frame_cache import FrameCache
from trainer.data.demonstrations.formats.lerobot_episodes import Entry
from trainer.data.demonstrations.formats.lerobot_meta import Meta, read_meta
from trainer.data.demonstrations.formats.lerobot_picture_sizes import stored_size
from trainer.data.demonstrations.formats.lerobot_rows import episode_rows, require_sorted
from trainer.data.demonstrations.formats.video import Picture, decode_picture, decode_video
from trainer.data.demonstrations.mapping.mapping import Mapping
from trainer.data.demonstrations.mapping.motion import RawEpisode
from trainer.data.demonstrations.source import Chosen, Contents

# What the format itself needs, none of it of the robot.
_TIMESTAMP, _ORDER = "timestamp", ("episode_index", "frame_index")
_BOOKKEEPING = ("timestamp", "frame_index", "episode_index", "index", "task_index")
# Files that are kept in memory: numbers, times, and pictures of a few cameras.
_TABLES = 4
_MOST_NAMED = 10


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

    def look(self, index: int, columns: Sequence[str]) -> tuple[RawEpisode, dict[str, ColumnFault]]:
        """An episode's columns, and what is wrong with those that can't be used. Raises DemonstrationError."""
        entry = self._meta.episodes[index]
        has_times = _TIMESTAMP in self._meta.features
        rows, path = self._rows(entry, [*columns, _TIMESTAMP] if has_times else columns)
        if not rows.num_rows:
            raise DemonstrationError(f"episode {entry.index} has no steps", path)
        found: dict[str, FloatArray] = {}
        faults: dict[str, ColumnFault] = {}
        for name in columns:
            try:
                found[name] = _numbers(rows, name)
            except ColumnFault as fault:
                faults[name] = fault
        return RawEpisode(f"episode {entry.index}", found, {}, _times(rows)), faults

    def read(self, index: int, columns: Sequence[str]) -> RawEpisode:
        """An episode's columns. Raises DemonstrationError naming its file."""
        episode, faults = self.look(index, columns)
        for fault in faults.values():
            path = self._meta.data_path(self._meta.episodes[index])
            raise DemonstrationError(f"{episode.name}: {fault}", path) from fault
        return episode

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
        recorded = _times(self._rows(entry, [_TIMESTAMP])[0])
        if recorded is None or not np.isfinite(recorded).all():
            raise ValueError("can't be told to be of which step: there is no number in every row of 'timestamp'")
        times = recorded + entry.video_start.get(camera, 0.0)
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

    def _rows(self, entry: Entry, columns: Sequence[str]) -> tuple[pa.Table, Path]:
        """An episode's rows in the order of its steps, and the file that they are in."""
        path = self._meta.data_path(entry)
        table = self._read_file(path, columns)
        try:
            return episode_rows(table, entry.index, entry.length), path
        except ValueError as error:
            raise DemonstrationError(str(error), path) from error

    def _read_file(self, path: Path, columns: Sequence[str]) -> pa.Table:
        """A file's columns. The last few are kept, since episodes lie one after the other."""
        wanted = tuple(sorted({*columns, *_ORDER}))
        if (path, wanted) not in self._tables:
            try:
                there = set(pq.read_schema(path).names)
                table = pq.read_table(path, columns=[name for name in wanted if name in there], partitioning=None)
                # LeRobot writes a group of rows for each episode: every look at a column in pieces would join them all.
                # Pictures are left so: together they may be more than a column can hold in one piece.
                if not self.contents.cameras.keys() & wanted:
                    table = table.combine_chunks()
            except (OSError, pa.ArrowException) as error:
                raise DemonstrationError(f"can't be read as Parquet ({_first_line(error)})", path) from error
            for name in (*_ORDER, *(self.contents.cameras.keys() & wanted)):
                if name not in table.column_names:
                    raise DemonstrationError(f"lacks '{name}', which meta/info.json says it has", path)
            try:
                require_sorted(table)
            except ValueError as error:
                raise DemonstrationError(str(error), path) from error
            if len(self._tables) == _TABLES:
                del self._tables[next(iter(self._tables))]
            self._tables[path, wanted] = table
        return self._tables[path, wanted]


def _describe(meta: Meta) -> Contents:
    columns: dict[str, int] = {}
    cameras: dict[str, tuple[int, int]] = {}
    others: dict[str, str] = {}
    for name, feature in meta.features.items():
        shape = tuple(feature["shape"])
        if name in _BOOKKEEPING:
            continue
        if feature["dtype"] in ("video", "image"):
            cameras[name] = stored_size(meta, name)
        elif re.fullmatch(r"(float|int|uint)\d+|bool", feature["dtype"]) and len(shape) < 2:
            columns[name] = int(shape[0]) if shape else 1
        else:
            others[name] = f"{feature['dtype']} of shape {shape}; a column has one row of numbers a step"
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
        others=others,
        notes=tuple(_without_video(meta)),
    )


def _without_video(meta: Meta) -> Iterator[str]:
    for name, feature in meta.features.items():
        without = [entry.index for entry in meta.episodes if not meta.has_video(entry, name)]
        if feature["dtype"] == "video" and without:
            named = ", ".join(map(str, without[:_MOST_NAMED])) + ", ..." * (len(without) > _MOST_NAMED)
            yield f"camera {name}: {len(without)} of {len(meta.episodes)} episodes have no video of it: {named}"


def _component_names(names: Any) -> tuple[str, ...]:
    """A list of names, or as some writers have it, an object that holds one."""
    if isinstance(names, dict) and len(names) == 1:
        (names,) = names.values()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _numbers(rows: pa.Table, name: str) -> FloatArray:
    """(T, width) of a column, all finite. Raises ColumnFault."""
    if name not in rows.column_names:
        raise ColumnFault("missing", f"lacks '{name}', which meta/info.json says it has")
    values = arrow_numbers(rows.column(name), name)
    require_finite(values, name)
    return values


def _times(rows: pa.Table) -> FloatArray | None:
    """(T,) time of each step in its episode [s], as it was written; None where that is no number a step."""
    try:
        values = arrow_numbers(rows.column(_TIMESTAMP), _TIMESTAMP) if _TIMESTAMP in rows.column_names else None
    except ColumnFault:
        return None
    return values[:, 0] if values is not None and values.shape[1] == 1 else None


def _nearest(times: FloatArray, wanted: FloatArray) -> NDArray[np.int64]:
    """Index of the nearest of ascending times to each wanted one."""
    after = np.clip(np.searchsorted(times, wanted), 1, max(1, len(times) - 1))
    before = after - 1
    if len(times) < 2:
        return np.zeros(len(wanted), np.int64)
    return np.where(wanted - times[before] <= times[after] - wanted, before, after).astype(np.int64)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
