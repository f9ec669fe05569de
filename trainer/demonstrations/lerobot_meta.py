"""The meta/ folder of a LeRobot data set: its features, its episodes and where their files are."""

import json
import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared.errors import DemonstrationError

_DEFAULT_PATHS = {
    3: ("data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"),
    2: ("data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"),
}  # fmt: skip
_MOST_BYTES = 100_000_000
_PLACEHOLDER = re.compile(r"\{(\w+)(?::0(\d{1,2})d)?\}")


@dataclass(frozen=True)
class Entry:
    """What meta/ says of an episode.

    Attributes:
        index: its episode_index.
        length: its steps.
        tasks: that it is of.
        data: chunk and number of its Parquet file.
        video: chunk and number of each camera's video.
        video_start: where in that video it begins [s].
    """

    index: int
    length: int
    tasks: tuple[str, ...]
    data: tuple[int, int]
    video: Dict[str, tuple[int, int]] = field(default_factory=dict)
    video_start: Dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Meta:
    """What meta/ says of a data set."""

    root: Path
    version: str
    fps: float
    robot: str | None
    features: Dict[str, Dict[str, Any]]
    episodes: tuple[Entry, ...]
    paths: tuple[str, str]
    chunk_size: int

    def data_path(self, entry: Entry) -> Path:
        """The Parquet file of an episode."""
        return self._path(self.paths[0], entry, entry.data)

    def video_path(self, entry: Entry, camera: str) -> Path:
        """The video of an episode. Raises DemonstrationError where meta/ does not say which one it is."""
        if camera not in entry.video and self.version.startswith("v3"):
            raise DemonstrationError(
                f"does not say where the video of '{camera}' is: meta/episodes/ lacks videos/{camera}/file_index",
                self.info,
            )
        return self._path(self.paths[1], entry, entry.video.get(camera, (0, 0)), camera)

    def steps_in_videos(self, camera: str) -> dict[Path, int]:
        """The steps in each video of a camera, of all its episodes.

        Raises DemonstrationError as `video_path`, and where v2.1's videos, of an episode each, are of several.
        """
        found: dict[Path, list[Entry]] = {}
        for entry in self.episodes:
            found.setdefault(self.video_path(entry, camera), []).append(entry)
        for path, entries in found.items():
            if len(entries) > 1 and not self.version.startswith("v3"):
                raise DemonstrationError(
                    f"its path template '{self.paths[1]}' names {path.name} for episode {entries[0].index} and for "
                    f"episode {entries[1].index}; {self.version} has a video for each",
                    self.info,
                )
        return {path: sum(entry.length for entry in entries) for path, entries in found.items()}

    def _path(self, template: str, entry: Entry, place: tuple[int, int], camera: str = "") -> Path:
        values: dict[str, int | str] = {
            "chunk_index": place[0],
            "file_index": place[1],
            "episode_chunk": entry.index // self.chunk_size,
            "episode_index": entry.index,
            "video_key": camera,
        }

        def fill(match: re.Match[str]) -> str:
            value = values.get(match[1])
            if value is None:
                raise DemonstrationError(f"its path template '{template}' has an unknown {match[0]}", self.info)
            return f"{value:0{match[2]}d}" if match[2] and isinstance(value, int) else str(value)

        path = Path(_PLACEHOLDER.sub(fill, template))
        if path.is_absolute() or ".." in path.parts:
            raise DemonstrationError(f"its path template '{template}' leads outside the data set", self.info)
        return self.root / path

    @property
    def info(self) -> Path:
        """The file that says most of this."""
        return self.root / "meta" / "info.json"


def read_meta(root: Path) -> Meta:
    """Reads meta/. Raises DemonstrationError where it isn't whole, or of a version that this can't read."""
    info_path = root / "meta" / "info.json"
    info = _read_json(info_path)
    version = str(info.get("codebase_version"))
    match = re.fullmatch(r"v([23])\.\d+", version)
    if match is None:
        raise DemonstrationError(f"is of LeRobot's version {version}; v2.0 to v3.x can be read", info_path)
    major = int(match[1])
    try:
        episodes = _episodes_v3(root) if major == 3 else _episodes_v2(root)
        robot = info.get("robot_type")
        meta = Meta(
            root=root,
            version=version,
            fps=float(info["fps"]),
            robot=robot if isinstance(robot, str) and robot != "unknown" else None,
            features={name: _feature(feature) for name, feature in info["features"].items()},
            episodes=tuple(sorted(episodes, key=lambda entry: entry.index)),
            paths=tuple(  # type: ignore[arg-type]
                str(info.get(key) or default)
                for key, default in zip(("data_path", "video_path"), _DEFAULT_PATHS[major], strict=True)
            ),
            chunk_size=int(info.get("chunks_size") or 1000),
        )
        if not meta.fps > 0 or meta.chunk_size < 1:
            raise ValueError(f"fps is {meta.fps}, chunks_size {meta.chunk_size}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DemonstrationError(f"is not whole ({error!r})", info_path) from error
    wanted = info.get("total_episodes")
    if len(meta.episodes) != wanted:
        raise DemonstrationError(f"says that there are {wanted} episodes, meta/ has {len(meta.episodes)}", info_path)
    for one, after in pairwise(meta.episodes):
        if one.index == after.index:
            raise DemonstrationError(f"meta/ has episode {one.index} twice", info_path)
    if not meta.episodes:
        raise DemonstrationError("has no episodes", info_path)
    return meta


def _feature(feature: Any) -> dict[str, Any]:
    return {"dtype": str(feature["dtype"]), "shape": [int(n) for n in feature["shape"]], "names": feature.get("names")}


def _episodes_v3(root: Path) -> list[Entry]:
    entries = []
    paths = sorted((root / "meta" / "episodes").glob("*/*.parquet"))
    for path in paths:
        try:
            names = [name for name in pq.read_schema(path).names if not name.startswith("stats/")]
            rows = pq.read_table(path, columns=names, partitioning=None).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise DemonstrationError(f"can't be read as Parquet ({error})", path) from error
        entries += [_entry_v3(row) for row in rows]
    return entries


def _entry_v3(row: dict[str, Any]) -> Entry:
    cameras = [name.split("/")[1] for name in row if re.fullmatch(r"videos/[^/]+/file_index", name)]
    return Entry(
        index=int(row["episode_index"]),
        length=int(row["length"]),
        tasks=tuple(row.get("tasks") or ()),
        data=(int(row["data/chunk_index"]), int(row["data/file_index"])),
        video={
            name: (int(row[f"videos/{name}/chunk_index"]), int(row[f"videos/{name}/file_index"])) for name in cameras
        },
        video_start={name: float(row[f"videos/{name}/from_timestamp"]) for name in cameras},
    )


def _episodes_v2(root: Path) -> list[Entry]:
    path = root / "meta" / "episodes.jsonl"
    entries = []
    for line in _read_text(path).splitlines():
        if line.strip():
            row = json.loads(line)
            tasks = row.get("tasks") or ()
            entries.append(Entry(int(row["episode_index"]), int(row["length"]), tuple(tasks), (0, 0)))
    return entries


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise DemonstrationError(f"is not JSON ({error})", path) from error
    if not isinstance(content, dict):
        raise DemonstrationError("is not a JSON object", path)
    return content


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DemonstrationError(f"is larger than {_MOST_BYTES} bytes", path)
        return path.read_text("utf-8")
    except OSError as error:
        raise DemonstrationError(f"can't be read ({error.strerror}); is the data set whole?", path) from error
