"""The meta/ folder of a LeRobot data set: its features, its episodes and where their files are."""

import json
import math
import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from shared.errors import DemonstrationError
from trainer.data.demonstrations.formats.lerobot_episodes import Entry, read_episodes, read_text

_DEFAULT_PATHS = {
    3: ("data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"),
    2: ("data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"),
}  # fmt: skip
_FILES = {
    (3, "episodes"): "meta/episodes/*/*.parquet",
    (3, "data"): "data/*/file-*.parquet",
    (2, "episodes"): "meta/episodes.jsonl",
    (2, "data"): "data/*/episode_*.parquet",
}
_LATEST = {2: "v2.1", 3: "v3.0"}
_PLACEHOLDER = re.compile(r"\{(\w+)(?::0(\d{1,2})d)?\}")


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
        if not self.has_video(entry, camera):
            raise DemonstrationError(
                f"does not say where the video '{camera}' of episode {entry.index} is: its videos/{camera}/file_index "
                "is missing or null; leave the episode out, or the camera",
                entry.said_in,
            )
        return self._path(self.paths[1], entry, entry.video.get(camera, (0, 0)), camera)

    def has_video(self, entry: Entry, camera: str) -> bool:
        """Whether meta/ says where an episode's video is. In v2 its path follows from its number."""
        return camera in entry.video or not self.version.startswith("v3")

    def steps_in_videos(self, camera: str) -> dict[Path, int]:
        """The steps in each video of a camera, of all episodes that have one.

        Raises DemonstrationError where v2.1's videos, of an episode each, are of several.
        """
        found: dict[Path, list[Entry]] = {}
        for entry in self.episodes:
            if self.has_video(entry, camera):
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
    _require_files_of(major, info, info_path)
    try:
        episodes = read_episodes(root, major)
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
        if not 0 < meta.fps < math.inf or meta.chunk_size < 1:
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


def _require_files_of(major: int, info: Dict[str, Any], info_path: Path) -> None:
    """Raises DemonstrationError where the files are named as the other version names them."""
    root, other = info_path.parents[1], 5 - major
    checked = ["episodes"]
    # A data set may also name its files by a template of its own.
    default = _DEFAULT_PATHS[major][0]
    if Path(str(info.get("data_path") or default)).name.startswith(Path(default).name.partition("{")[0]):
        checked.append("data")
    for what in checked:
        mine, others = (_FILES[version, what] for version in (major, other))
        if not any(root.glob(mine)) and any(root.glob(others)):
            raise DemonstrationError(
                f"says that the data set is of version {info['codebase_version']}, but its files are of "
                f"{_LATEST[other]}: there is {others}, and no {mine}; correct codebase_version, or convert the data "
                "set as a whole",
                info_path,
            )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DemonstrationError(f"is not JSON ({error})", path) from error
    if not isinstance(content, dict):
        raise DemonstrationError("is not a JSON object", path)
    return content
