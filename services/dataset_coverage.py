"""What a dataset covers: workspace, tool directions, joints, speeds. Exact sums from its commits, and histograms of a
bounded sample of its rows.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shared.dataset import Dataset
from shared.manifest import Commit, DatasetHeader
from shared.rotation import rot6d_to_matrix
from shared.statistics import merge_statistics

FloatArray = NDArray[np.float64]

MAX_SHARDS, MAX_ROWS = 12, 256
"""Shards that are looked into, and rows of each."""
MAX_SAMPLES = 500_000
"""Of all those rows together."""
_PART_SAMPLES = 1 << 14
"""Looked at together; a longer row is read by itself, but not counted in one go."""
_READ_BYTES = 1 << 16
_BINS, _PLANE_BINS = 32, 24
_POLAR_BINS, _AZIMUTH_BINS = 12, 24


@dataclass
class Statistics:
    """The commits' statistics, merged as they come.

    Attributes:
        columns: merged, by column.
        merged: indices of the shards in it.
    """

    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    merged: set[int] = field(default_factory=set)

    def add(self, index: int, of_shard: Mapping[str, dict[str, Any]]) -> None:
        """Adds those of a shard, once."""
        if index in self.merged:
            return
        self.merged.add(index)
        for name, statistics in of_shard.items():
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


class Histograms:
    """Histograms over a sample of a dataset's rows, added up a few rows at a time.

    Attributes:
        rows: that are in them.
    """

    def __init__(self, header: DatasetHeader) -> None:
        """Begins with no rows."""
        robot, ranges = header.robot, header.action_range
        limits, self._joints = robot.limits, robot.joint_names
        self.rows = 0
        self._durations: list[float] = []
        self._families: Counter[str] = Counter()
        self._q = [_Counts((low, high, _BINS)) for low, high in zip(limits.lower, limits.upper, strict=True)]
        self._qd = [_Counts((-most, most, _BINS)) for most in limits.velocity]
        low, high = ranges["position"]["min"], ranges["position"]["max"]
        self._planes = {
            (a, b): _Counts((low[a], high[a], _PLANE_BINS), (low[b], high[b], _PLANE_BINS))
            for a, b in ((0, 1), (0, 2), (1, 2))
        }
        # In cells of equal area.
        self._sphere = _Counts((-1, 1, _POLAR_BINS), (-np.pi, np.pi, _AZIMUTH_BINS))

    def add(self, dataset: Dataset, commit: Commit, most: int) -> int:
        """Adds the first MAX_ROWS rows of a shard, fewer if they have more than `most` samples.

        Returns:
            How many samples they have.

        Raises:
            CorruptShardError: it is not what was committed.
        """
        with (
            dataset.open_shard(commit) as content,
            pq.ParquetFile(content, pre_buffer=False, buffer_size=_READ_BYTES) as file,
        ):
            first = next(file.iter_batches(MAX_ROWS, columns=["length", "duration", "family"], use_threads=False))
            lengths = first.column("length").to_numpy()
            rows = int(np.searchsorted(np.cumsum(lengths, dtype=np.int64), most, side="right"))
            if not rows:
                return 0
            self.rows += rows
            self._durations += first.column("duration")[:rows].to_pylist()
            self._families.update(first.column("family")[:rows].to_pylist())
            together = max(1, _PART_SAMPLES // int(lengths[:rows].max()))
            # Column by column, so that no more than a few rows of one are in memory.
            dof = len(self._joints)
            for q in _parts(file, "joint_position", dof, rows, together):
                _add_each(self._q, q)
            for qd in _parts(file, "joint_velocity", dof, rows, together):
                _add_each(self._qd, qd)
            for position in _parts(file, "ee_position", 3, rows, together):
                for (a, b), plane in self._planes.items():
                    plane.add(position[:, a], position[:, b])
            for rotation in _parts(file, "ee_rotation_6d", 6, rows, together):
                axis = rot6d_to_matrix(rotation)[:, :, 2]
                self._sphere.add(axis[:, 2], np.arctan2(axis[:, 1], axis[:, 0]))
        return int(lengths[:rows].sum())

    def to_json(self) -> dict[str, Any]:
        """Each has its `edges` [rad, rad/s, m, s] and `counts`."""
        duration = _Counts((0.0, max([1e-9, *self._durations]), _BINS))
        duration.add(np.asarray(self._durations, float))
        return {
            "joint_position": _of_joints(self._joints, self._q),
            "joint_velocity": _of_joints(self._joints, self._qd),
            "ee_position": [{"axes": "xyz"[a] + "xyz"[b], **plane.to_json()} for (a, b), plane in self._planes.items()],
            "tool_axis": {"axes": "cos(polar), azimuth", **self._sphere.to_json()},
            "duration": duration.to_json(),
            "family": dict(sorted(self._families.items())),
        }


def sample(dataset: Dataset, commits: Sequence[Commit]) -> Histograms:
    """Histograms of the first rows of each of these shards. Raises CorruptShardError."""
    found, left = Histograms(dataset.header), MAX_SAMPLES
    for done, commit in enumerate(commits):
        # What one shard does not need, those after it may.
        left -= found.add(dataset, commit, left // (len(commits) - done))
    return found


class _Counts:
    """Counts in the cells of one or two axes, each from low to high in equal bins."""

    def __init__(self, *axes: tuple[float, float, int]) -> None:
        self._edges = [np.linspace(low, high, bins + 1) for low, high, bins in axes]
        self._counts = np.zeros([bins for _, _, bins in axes], np.int64)

    def add(self, *values: FloatArray) -> None:
        """Counts values, given by axis."""
        # Clipped: a limit rounded to float32 can lie beyond itself.
        inside = [np.clip(one, edges[0], edges[-1]) for one, edges in zip(values, self._edges, strict=True)]
        if len(inside) == 1:
            # Several times faster than the general one.
            edges = self._edges[0]
            self._counts += np.histogram(inside[0], len(edges) - 1, (edges[0], edges[-1]))[0]
        else:
            self._counts += np.histogramdd(inside, self._edges)[0].astype(np.int64)

    def to_json(self) -> dict[str, Any]:
        """Edges and counts; of two axes a list of edges for each, and the first axis's cells outside."""
        edges = [edges.tolist() for edges in self._edges]
        return {"edges": edges if len(edges) > 1 else edges[0], "counts": self._counts.tolist()}


def _add_each(counts: Sequence[_Counts], values: FloatArray) -> None:
    for one, column in zip(counts, values.T, strict=True):
        one.add(column)


def _of_joints(names: Sequence[str], counts: Sequence[_Counts]) -> list[dict[str, Any]]:
    return [{"joint": name, **one.to_json()} for name, one in zip(names, counts, strict=True)]


def _parts(file: pq.ParquetFile, name: str, width: int, rows: int, together: int) -> Iterator[FloatArray]:
    """The samples of a list column's first rows, so many rows together but never more than _PART_SAMPLES at a time."""
    for batch in file.iter_batches(together, columns=[name], use_threads=False):
        values = batch.column(0)[:rows].flatten().to_numpy().reshape(-1, width)
        for first in range(0, len(values), _PART_SAMPLES):
            yield values[first : first + _PART_SAMPLES].astype(np.float64)
        rows -= batch.num_rows
        if rows <= 0:
            return
