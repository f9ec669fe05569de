"""Accepted rows gathered into the table of a shard, in the order of their ids."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.synthesis.candidates import Batch
from services.synthesis.compiled import compiled
from services.synthesis.copies.copying import CopySamples
from services.synthesis.motion.motions import Motions
from services.synthesis.motion.timing import PIECES
from services.synthesis.numerics.offsets import offsets
from services.synthesis.request.families import FAMILIES
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared import records

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


_MOSTLY = 7 / 8
"""Share of a batch's values that must be of accepted rows for the others to be kept with them, which spares a copy."""


class _ListPart(NamedTuple):
    """Values (N, width) of one list column of a batch, first value row of each row (n + 1,), and the accepted rows."""

    values: NDArray[Any]
    first: IntArray
    rows: IntArray


class RowBuffer:
    """Collects batches; a rejected row's later attempt may come after its neighbours.

    Where many are rejected, accepted rows are kept alone: memory does not depend on how many candidates there are.
    """

    def __init__(self, request: TrajectoryRequest) -> None:
        self._request = request
        columns = records.columns(request.optional_columns)
        self._lists: dict[str, list[_ListPart]] = {column.name: [] for column in columns if column.is_list}
        self._scalars: dict[str, list[NDArray[Any]]] = {}
        self.nbytes = 0
        """Of the list columns' values of the rows collected so far."""

    def append(self, batch: Batch) -> None:
        """Adds the accepted rows of a batch."""
        rows = np.flatnonzero(batch.accepted)
        candidate, length = batch.motions.candidate[rows], np.diff(batch.samples.first)[rows]
        scalars: dict[str, NDArray[Any]] = {
            "trajectory_id": batch.candidates.ids[candidate],
            "length": length.astype(np.int32),
            "duration": batch.duration[rows],
            "family": batch.candidates.family[candidate],
            "attempts": (batch.candidates.attempts[candidate] + 1).astype(np.int32),
        }
        if batch.copied is not None:
            scalars["source"] = batch.copied.source[rows].astype(np.int32)
        for name, values in scalars.items():
            self._scalars.setdefault(name, []).append(values)
        for name, parts in self._lists.items():
            values, first = _column(batch, name)
            parts.append(_accepted(values, first, rows))
            self.nbytes += int(np.diff(first)[rows].sum()) * values.shape[1] * values.itemsize

    def table(self) -> pa.Table:
        """The rows, sorted by trajectory_id. Empties the buffer column by column, so that nothing is held twice."""
        ids = np.concatenate(self._scalars["trajectory_id"])
        order = np.argsort(ids)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        ends = np.cumsum([len(part) for part in self._scalars["trajectory_id"]])
        places = np.split(place, ends[:-1])
        scalars: dict[str, Any] = {name: np.concatenate(parts)[order] for name, parts in self._scalars.items()}
        scalars["rate_hz"] = np.full(len(ids), self._request.rate_hz)
        scalars["family"] = pa.array(FAMILIES).take(pa.array(scalars["family"]))
        lists = {name: _gather(self._lists.pop(name), places) for name in list(self._lists)}
        return records.build_table(scalars, lists, self._request.optional_columns)


def _accepted(values: NDArray[Any], first: IntArray, rows: IntArray) -> _ListPart:
    """The rows named, of values (N, width) in which row r begins at first[r]."""
    kept = offsets(np.diff(first)[rows])
    if kept[-1] >= _MOSTLY * len(values):
        return _ListPart(values, first, rows)
    target = np.empty((int(kept[-1]), values.shape[1]), values.dtype)
    _copy_rows(values, first, rows, target, kept)
    return _ListPart(target, kept, np.arange(len(rows)))


def _gather(parts: list[_ListPart], places: list[IntArray]) -> tuple[NDArray[Any], IntArray]:
    """Puts each batch's rows at their places; returns the values, flattened, and their offsets."""
    lengths = np.empty(sum(len(place) for place in places), np.int64)
    for part, place in zip(parts, places, strict=True):
        lengths[place] = np.diff(part.first)[part.rows]
    target_first = offsets(lengths)
    width = parts[0].values.shape[1]
    target = np.empty((int(target_first[-1]), width), parts[0].values.dtype)
    for part, place in zip(parts, places, strict=True):
        _copy_rows(part.values, part.first, part.rows, target, target_first[place])
    return target.reshape(-1), target_first * width


@compiled
def _copy_rows(source: NDArray[Any], first: IntArray, rows: IntArray, target: NDArray[Any], begins: IntArray) -> None:
    """Copies row rows[i] of the source to where target row begins[i] begins."""
    for i in range(rows.size):
        here, size = first[rows[i]], first[rows[i] + 1] - first[rows[i]]
        for k in range(size):
            for c in range(source.shape[1]):
                target[begins[i] + k, c] = source[here + k, c]


def _column(batch: Batch, name: str) -> tuple[NDArray[Any], IntArray]:
    """A list column of a batch: values (N, width), and the first value row of each row."""
    samples = batch.samples
    if name in ("profile_time", "profile_jerk"):
        return _pieces(batch.motions, name)
    if name.startswith("object/"):
        return _object_column(batch, name), samples.first
    if name in ("source_time", "segment"):
        of_samples = _copied(batch).source_time if name == "source_time" else _copied(batch).segment
        return of_samples[:, None], samples.first
    columns: dict[str, NDArray[Any]] = {
        "joint_position": samples.q,
        "joint_velocity": samples.qd,
        "joint_acceleration": samples.qdd,
        "ee_position": samples.position,
        "ee_rotation_6d": samples.rotation_6d,
        "gripper": samples.gripper[:, None],
    }
    return columns[name], samples.first


def _copied(batch: Batch) -> CopySamples:
    assert batch.copied is not None
    return batch.copied


def _object_column(batch: Batch, name: str) -> NDArray[np.float32]:
    """Poses of one object of copies: `object/<name>/position` or `object/<name>/rotation_6d`."""
    _, thing, part = name.split("/")
    copied = _copied(batch)
    poses = copied.object_position if part == "position" else copied.object_rotation_6d
    return np.asarray(poses[copied.objects.index(thing)])


def _pieces(motions: Motions, name: str) -> tuple[FloatArray, IntArray]:
    """Pieces of every segment in time order, a dwell being a segment whose first piece rests for as long.

    Returns values of shape (segments and dwells, dof * 7) and the first of each row.
    """
    profiles = motions.profiles
    segments, dof = profiles.start.shape
    both = np.zeros((segments, 2, dof, PIECES))
    both[:, 0] = profiles.time if name == "profile_time" else profiles.jerk
    if name == "profile_time":
        both[:, 1, :, 0] = motions.dwell[:, None]
    present = np.stack([np.ones(segments, np.bool_), motions.dwell > 0], axis=1)
    counts = np.add.reduceat(present.sum(1), motions.first[:-1]) if segments else np.zeros(0, np.int64)
    return both[present].reshape(-1, dof * PIECES), offsets(counts)
