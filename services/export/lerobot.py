"""What LeRobotDataset v3.0 and v2.1 have in common: features, steps as a table, the files of `meta/`.

Written from the layout that lerobot 0.4 to 0.6 reads, without lerobot: its own writer needs torch, and its files can't
be read while it writes.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.export.episodes import Content, Episodes
from shared.errors import ConfigError

COMPRESSION: dict[str, Any] = {"compression": "zstd", "compression_level": 1, "use_dictionary": False}
CHUNK = 1000
"""Files (v3) or episodes (v2.1) in one folder."""


@dataclass
class Totals:
    """How much has been written, and the tasks met so far with their index: each motion family is a task."""

    episodes: int
    frames: int
    tasks: dict[str, int]


class Steps:
    """Turns episodes into LeRobot's features, counting as it goes."""

    def __init__(self, content: Content) -> None:
        rate = content.header.rate_hz
        if rate != round(rate):
            raise ConfigError(f"LeRobot's fps is a whole number, and this dataset is at {rate} Hz; export to robomimic")
        self.content = content
        self.fps = round(rate)
        self.totals = Totals(0, 0, {})

    def features(self, episodes: Episodes) -> dict[str, NDArray[Any]]:
        """Each feature's values, (N, width), of the episodes that come next."""
        totals = self.totals
        tasks = np.array([totals.tasks.setdefault(family, len(totals.tasks)) for family in episodes.families])
        steps, within = int(episodes.ends[-1]), episodes.step_in_episode()
        scalars: dict[str, NDArray[Any]] = {
            "timestamp": (within / self.fps).astype(np.float32),
            "frame_index": within,
            "episode_index": episodes.per_step(episodes.indices),
            "index": np.arange(totals.frames, totals.frames + steps),
            "task_index": episodes.per_step(tasks),
        }
        totals.episodes += len(episodes.ids)
        totals.frames += steps
        vectors = {"observation.state": episodes.state(), "action": episodes.actions(self.content)}
        return {**vectors, **{name: values[:, None] for name, values in scalars.items()}}

    def info(self, version: str, data_path: str, **more: Any) -> dict[str, Any]:
        """meta/info.json."""
        return {
            "codebase_version": version,
            "robot_type": self.content.header.robot.name,
            "total_episodes": self.totals.episodes,
            "total_frames": self.totals.frames,
            "total_tasks": len(self.totals.tasks),
            "chunks_size": CHUNK,
            "fps": self.fps,
            "splits": {"train": f"0:{self.totals.episodes}"},
            "data_path": data_path,
            "video_path": None,
            "features": self._described(),
            **more,
        }

    def _described(self) -> dict[str, Any]:
        names = {"observation.state": self.content.state_names, "action": self.content.action_names}
        described: dict[str, Any] = {
            name: {"dtype": "float32", "shape": [len(parts)], "names": parts} for name, parts in names.items()
        }
        described["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
        for name in ("frame_index", "episode_index", "index", "task_index"):
            described[name] = {"dtype": "int64", "shape": [1], "names": None}
        return described


def steps_table(features: dict[str, NDArray[Any]]) -> pa.Table:
    """Steps as LeRobot keeps them: scalars, and vectors as fixed-size lists."""
    return pa.table({name: _column(values) for name, values in features.items()})


def _column(values: NDArray[Any]) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return flat if values.shape[1] == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def write_json(path: Path, value: Any) -> None:
    """A JSON file, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1))
