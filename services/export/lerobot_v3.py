"""LeRobotDataset v3.0: many episodes in a file, and metadata that says where each lies.

meta/info.json  meta/stats.json  meta/tasks.parquet  meta/headstart.json (where it comes from; LeRobot ignores it)
meta/episodes/chunk-000/file-000.parquet
data/chunk-000/file-000.parquet
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from services.export.episodes import Content, Episodes
from services.export.lerobot import CHUNK, COMPRESSION, Steps, steps_table, write_json
from services.export.statistics import STATISTICS, Statistics, episode_statistics

_FILE_MB = 100
_PATH = "{folder}/chunk-{{chunk_index:03d}}/file-{{file_index:03d}}.parquet"


class LeRobotV3:
    """Writes a folder in this layout."""

    def __init__(self, root: Path, content: Content, file_bytes: int = _FILE_MB << 20) -> None:
        """Begins an empty folder. Raises ConfigError if LeRobot can't hold such data."""
        self._root = root
        self._steps = Steps(content)
        self._statistics = Statistics()
        self._data = _Files(root, "data", file_bytes)
        self._meta = _Files(root, "meta/episodes", file_bytes)

    def write(self, episodes: Episodes) -> None:
        """Adds some episodes."""
        begin = self._steps.totals.frames
        features = self._steps.features(episodes)
        self._statistics.add(features)
        data = self._data.write(steps_table(features))
        ends = begin + episodes.ends
        table: dict[str, Any] = {
            "episode_index": episodes.indices,
            "tasks": [[family] for family in episodes.families],
            "length": episodes.lengths,
            "data/chunk_index": [data[0]] * len(ends),
            "data/file_index": [data[1]] * len(ends),
            "dataset_from_index": ends - episodes.lengths,
            "dataset_to_index": ends,
        }
        for name, values in features.items():
            found = episode_statistics(episodes, values)
            table |= {f"stats/{name}/{key}": list(found[key]) for key in STATISTICS}
        meta = self._meta.place()
        table |= {"meta/episodes/chunk_index": [meta[0]] * len(ends), "meta/episodes/file_index": [meta[1]] * len(ends)}
        self._meta.write(pa.table(table))

    def close(self) -> None:
        """Adds what is known once all is written."""
        self._data.close()
        self._meta.close()
        paths = {"data_files_size_in_mb": _FILE_MB, "video_files_size_in_mb": 200}
        write_json(self._root / "meta/info.json", self._steps.info("v3.0", _PATH.format(folder="data"), **paths))
        write_json(self._root / "meta/stats.json", self._statistics.to_json())
        write_json(self._root / "meta/headstart.json", self._steps.content.to_json())
        pq.write_table(_tasks(self._steps.totals.tasks), self._root / "meta/tasks.parquet")


class _Files:
    """Parquet files of about `file_bytes` each, numbered as LeRobot numbers them."""

    def __init__(self, root: Path, folder: str, file_bytes: int) -> None:
        self._path = str(root / _PATH.format(folder=folder))
        self._file_bytes = file_bytes
        self._number = 0
        self._sink: Any = None
        self._writer: Any = None

    def place(self) -> tuple[int, int]:
        """Chunk and file that the next table goes to."""
        if self._sink is not None and self._sink.tell() >= self._file_bytes:
            self.close()
            self._number += 1
        return divmod(self._number, CHUNK)

    def write(self, table: pa.Table) -> tuple[int, int]:
        """Adds a row group, never split over files. Returns chunk and file."""
        chunk, file = self.place()
        if self._writer is None:
            path = Path(self._path.format(chunk_index=chunk, file_index=file))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = pa.OSFile(str(path), "wb")
            self._writer = pq.ParquetWriter(self._sink, table.schema, **COMPRESSION)
        self._writer.write_table(table)
        return chunk, file

    def close(self) -> None:
        """Ends the file that is open."""
        if self._writer is not None:
            self._writer.close()
            self._sink.close()
        self._sink = self._writer = None


def _tasks(tasks: dict[str, int]) -> pa.Table:
    """meta/tasks.parquet, with the metadata by which pandas makes the task's text the index."""
    kinds = (("task_index", "int64", "int64"), ("task", "unicode", "object"))
    columns = [
        {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy, "metadata": None}
        for name, kind, numpy in kinds
    ]
    described = {"index_columns": ["task"], "column_indexes": [], "columns": columns, "pandas_version": "2.0.0"}
    table = pa.table({"task_index": list(tasks.values()), "task": list(tasks)})
    return table.replace_schema_metadata({"pandas": json.dumps(described)})
