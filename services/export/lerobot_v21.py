"""LeRobotDataset v2.1, which older programs still ask for: a file for each episode, so small datasets only.

meta/info.json  meta/episodes.jsonl  meta/episodes_stats.jsonl  meta/tasks.jsonl  meta/stats.json
meta/headstart.json (where it comes from; LeRobot ignores it)
data/chunk-000/episode_000000.parquet
"""

import json
from pathlib import Path
from typing import Any, TextIO

import pyarrow.parquet as pq

from services.export.episodes import Content, Episodes
from services.export.lerobot import CHUNK, COMPRESSION, Steps, steps_table, write_json
from services.export.statistics import Statistics, episode_statistics

_DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"


class LeRobotV21:
    """Writes a folder in this layout."""

    def __init__(self, root: Path, content: Content) -> None:
        """Begins an empty folder. Raises ConfigError if LeRobot can't hold such data."""
        self._root = root
        self._steps = Steps(content)
        self._statistics = Statistics()
        (root / "meta").mkdir(parents=True)
        self._episodes = (root / "meta/episodes.jsonl").open("w")
        self._episodes_stats = (root / "meta/episodes_stats.jsonl").open("w")

    def write(self, episodes: Episodes) -> None:
        """Adds some episodes."""
        features = self._steps.features(episodes)
        self._statistics.add(features)
        table = steps_table(features)
        found = {name: episode_statistics(episodes, values) for name, values in features.items()}
        for row, index in enumerate(episodes.indices.tolist()):
            length = int(episodes.lengths[row])
            path = self._root / _DATA_PATH.format(episode_chunk=index // CHUNK, episode_index=index)
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table.slice(int(episodes.ends[row]) - length, length), path, **COMPRESSION)
            _line(self._episodes, {"episode_index": index, "tasks": [episodes.families[row]], "length": length})
            statistics = {
                name: {key: value[row].tolist() for key, value in kept.items()} for name, kept in found.items()
            }
            _line(self._episodes_stats, {"episode_index": index, "stats": statistics})

    def close(self) -> None:
        """Adds what is known once all is written."""
        self._episodes.close()
        self._episodes_stats.close()
        chunks = -(-self._steps.totals.episodes // CHUNK)
        info = self._steps.info("v2.1", _DATA_PATH, total_videos=0, total_chunks=chunks)
        write_json(self._root / "meta/info.json", info)
        write_json(self._root / "meta/stats.json", self._statistics.to_json())
        write_json(self._root / "meta/headstart.json", self._steps.content.to_json())
        with (self._root / "meta/tasks.jsonl").open("w") as file:
            for task, index in self._steps.totals.tasks.items():
                _line(file, {"task_index": index, "task": task})


def _line(file: TextIO, value: Any) -> None:
    file.write(json.dumps(value) + "\n")
