"""What a dataset covers: workspace, tool directions, joints, speeds. Exact sums from its commits, and histograms of a
bounded sample of its rows.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shared import records
from shared.dataset import Dataset
from shared.manifest import Commit, DatasetHeader
from shared.rotation import rot6d_to_matrix
from shared.statistics import merge_statistics

FloatArray = NDArray[np.float64]

MAX_SHARDS, MAX_ROWS = 12, 256
"""Shards that are looked into, and rows of each."""
_BINS, _PLANE_BINS = 32, 24
_POLAR_BINS, _AZIMUTH_BINS = 12, 24
_COLUMNS = ["duration", "family", "joint_position", "joint_velocity", "ee_position", "ee_rotation_6d"]


@dataclass
class Statistics:
    """The commits' statistics, merged as they come.

    Attributes:
        columns: merged, by column.
        merged: indices of the shards in it.
    """

    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    merged: set[int] = field(default_factory=set)

    def add(self, commit: Commit) -> None:
        """Adds a commit, once."""
        if commit.index in self.merged:
            return
        self.merged.add(commit.index)
        for name, statistics in commit.statistics.items():
            known = self.columns.get(name)
            self.columns[name] = merge_statistics(known, statistics) if known else statistics

    def to_json(self) -> dict[str, Any]:
        """Count, mean, standard deviation and extremes of each component of each column."""
        return {
            name: {
                "count": merged["count"],
                "mean": merged["mean"],
                "std": np.sqrt(np.asarray(merged["M2"]) / max(merged["count"], 1)).tolist(),
                "min": merged["min"],
                "max": merged["max"],
            }
            for name, merged in self.columns.items()
        }


def pick(indices: Sequence[int]) -> list[int]:
    """At most MAX_SHARDS of the shards, spread evenly."""
    places = np.linspace(0, len(indices) - 1, min(len(indices), MAX_SHARDS)).astype(int)
    return [indices[place] for place in places]


def sample(dataset: Dataset, commits: Iterable[Commit]) -> list[pa.Table]:
    """The first MAX_ROWS rows of each of these shards. Raises CorruptShardError."""
    tables = []
    for commit in commits:
        with dataset.open_shard(commit) as content, pq.ParquetFile(content, pre_buffer=False) as file:
            batch = next(file.iter_batches(MAX_ROWS, columns=_COLUMNS, use_threads=False))
        tables.append(pa.Table.from_batches([batch]))
    return tables


def histograms(header: DatasetHeader, tables: Sequence[pa.Table]) -> dict[str, Any]:
    """Histograms over the sampled rows; each has its `edges` [rad, rad/s, m, s] and `counts`."""
    robot, ranges = header.robot, header.action_range
    q = _column(tables, "joint_position", robot.dof)
    qd = _column(tables, "joint_velocity", robot.dof)
    position = _column(tables, "ee_position", 3)
    tool_axis = rot6d_to_matrix(_column(tables, "ee_rotation_6d", 6))[:, :, 2]
    limits = robot.limits
    low, high = ranges["position"]["min"], ranges["position"]["max"]
    edges = [np.linspace(a, b, _PLANE_BINS + 1) for a, b in zip(low, high, strict=True)]
    azimuth = np.arctan2(tool_axis[:, 1], tool_axis[:, 0])
    durations = np.concatenate([table.column("duration").to_numpy() for table in tables] or [np.zeros(0)])
    families = Counter(name for table in tables for name in table.column("family").to_pylist())
    return {
        "joint_position": [
            {"joint": name, **_histogram(q[:, i], limits.lower[i], limits.upper[i])}
            for i, name in enumerate(robot.joint_names)
        ],
        "joint_velocity": [
            {"joint": name, **_histogram(qd[:, i], -limits.velocity[i], limits.velocity[i])}
            for i, name in enumerate(robot.joint_names)
        ],
        "ee_position": [
            {
                "axes": "xyz"[a] + "xyz"[b],
                "edges": [edges[a].tolist(), edges[b].tolist()],
                "counts": _plane(position[:, a], position[:, b], edges[a], edges[b]),
            }
            for a, b in ((0, 1), (0, 2), (1, 2))
        ],
        "tool_axis": _sphere(tool_axis[:, 2], azimuth),
        "duration": _histogram(durations, 0.0, max(float(durations.max(initial=0.0)), 1e-9)),
        "family": dict(sorted(families.items())),
    }


def _column(tables: Sequence[pa.Table], name: str, width: int) -> FloatArray:
    parts = [records.list_column(table, name)[0].reshape(-1, width) for table in tables]
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros((0, width))


def _histogram(values: FloatArray, low: float, high: float) -> dict[str, Any]:
    # Clipped: a limit rounded to float32 can lie beyond itself.
    counts, edges = np.histogram(np.clip(values, low, high), _BINS, (low, high))
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _plane(a: FloatArray, b: FloatArray, edges_a: FloatArray, edges_b: FloatArray) -> list[list[int]]:
    a, b = np.clip(a, edges_a[0], edges_a[-1]), np.clip(b, edges_b[0], edges_b[-1])
    counts: list[list[int]] = np.histogram2d(a, b, [edges_a, edges_b])[0].astype(int).tolist()
    return counts


def _sphere(cosine: FloatArray, azimuth: FloatArray) -> dict[str, Any]:
    """Directions in cells of equal area: the cosine of the angle to base z, by the angle about it [rad]."""
    edges = [np.linspace(-1, 1, _POLAR_BINS + 1), np.linspace(-np.pi, np.pi, _AZIMUTH_BINS + 1)]
    counts = _plane(cosine, azimuth, *edges)
    return {"axes": "cos(polar), azimuth", "edges": [edge.tolist() for edge in edges], "counts": counts}
