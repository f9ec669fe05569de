"""What meta/ of a LeRobot data set says of its episodes.

meta/episodes/chunk-000/file-000.parquet      v3: an episode a row
meta/episodes.jsonl                           v2: an episode a line
"""

import json
import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared.errors import DemonstrationError

_MOST_BYTES = 100_000_000


@dataclass(frozen=True)
class Entry:
    """What meta/ says of an episode.

    Attributes:
        index: its episode_index.
        length: its steps.
        tasks: that it is of.
        data: chunk and number of its Parquet file.
        said_in: the file of meta/ that says this.
        video: chunk and number of each camera's video, of the cameras that it has one of.
        video_start: where in that video it begins [s].
    """

    index: int
    length: int
    tasks: tuple[str, ...]
    data: tuple[int, int]
    said_in: Path
    video: Dict[str, tuple[int, int]] = field(default_factory=dict)
    video_start: Dict[str, float] = field(default_factory=dict)


def read_episodes(root: Path, major: int) -> list[Entry]:
    """The episodes of a data set of version 2 or 3. Raises DemonstrationError naming the file and the episode."""
    return _episodes_v3(root) if major == 3 else _episodes_v2(root)


def read_text(path: Path) -> str:
    """A file of meta/. Raises DemonstrationError where it can't be read, or is no such file by its size."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DemonstrationError(f"is larger than {_MOST_BYTES} bytes", path)
        return path.read_text("utf-8")
    except OSError as error:
        raise DemonstrationError(f"can't be read ({error.strerror}); is the data set whole?", path) from error


def _episodes_v3(root: Path) -> list[Entry]:
    entries = []
    paths = sorted((root / "meta" / "episodes").glob("*/*.parquet"))
    for path in paths:
        try:
            names = [name for name in pq.read_schema(path).names if not name.startswith("stats/")]
            rows = pq.read_table(path, columns=names, partitioning=None).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise DemonstrationError(f"can't be read as Parquet ({error})", path) from error
        entries += [_entry_v3(row, number, path) for number, row in enumerate(rows)]
    return entries


def _entry_v3(row: dict[str, Any], number: int, path: Path) -> Entry:
    """An episode of a row of meta/episodes/. Raises DemonstrationError where it says less than is needed."""
    which = f"row {number}" if _is_none(row.get("episode_index")) else f"episode {row['episode_index']}"

    def whole(key: str) -> int:
        value = row.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value or value != int(value):
            raise DemonstrationError(f"{which}: {key} is {'missing' if _is_none(value) else repr(value)[:60]}", path)
        return int(value)

    video, start = {}, {}
    for name in (name.split("/")[1] for name in row if re.fullmatch(r"videos/[^/]+/file_index", name)):
        keys = [f"videos/{name}/{key}" for key in ("chunk_index", "file_index", "from_timestamp")]
        # An episode without this camera, or whose video was lost, has nulls here: it may be used without it.
        if not any(_is_none(row.get(key)) for key in keys):
            video[name], start[name] = (whole(keys[0]), whole(keys[1])), float(row[keys[2]])
    return Entry(
        index=whole("episode_index"),
        length=whole("length"),
        tasks=tuple(row.get("tasks") or ()),
        data=(whole("data/chunk_index"), whole("data/file_index")),
        said_in=path,
        video=video,
        video_start=start,
    )


def _is_none(value: Any) -> bool:
    """Whether it is null, or NaN, as what some writers make of null."""
    return value is None or value != value


def _episodes_v2(root: Path) -> list[Entry]:
    path = root / "meta" / "episodes.jsonl"
    entries = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
                index, length = int(row["episode_index"]), int(row["length"])
            except (KeyError, TypeError, ValueError, RecursionError) as error:
                raise DemonstrationError(f"line {number} is no episode ({error!r:.200})", path) from error
            entries.append(Entry(index, length, tuple(row.get("tasks") or ()), (0, 0), path))
    return entries
