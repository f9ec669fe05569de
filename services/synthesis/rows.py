"""Accepted rows gathered into the table of a shard, in the order of their ids."""

from typing import Any

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
from services.synthesis.request.workspace import Objects
from shared import records

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class RowBuffer:
    """Collects batches; a rejected row's later attempt may come after its neighbours."""

    def __init__(self, request: TrajectoryRequest, dof: int) -> None:
        self._request = request
        self._dof = dof
        self._batches: list[Batch] = []

    @property
    def samples(self) -> int:
        """Samples collected so far."""
        return sum(int(batch.samples.first[-1]) for batch in self._batches)

    def append(self, batch: Batch) -> None:
        """Adds the accepted rows of a batch."""
        self._batches.append(batch)

    def table(self) -> pa.Table:
        """The rows, sorted by trajectory_id."""
        batches = self._batches
        picked = [batch.motions.candidate[batch.accepted] for batch in batches]
        ids = np.concatenate([batch.candidates.ids[rows] for batch, rows in zip(batches, picked, strict=True)])
        order = np.argsort(ids)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        places, end = [], 0
        for rows in picked:
            places.append(place[end : end + len(rows)])
            end += len(rows)

        def scalar(parts: list[NDArray[Any]]) -> NDArray[Any]:
            return np.concatenate(parts)[order]

        pairs = list(zip(batches, picked, strict=True))
        family = scalar([batch.candidates.family[rows] for batch, rows in pairs])
        length = scalar([np.diff(batch.samples.first)[batch.accepted] for batch in batches])
        scalars = {
            "trajectory_id": ids[order],
            "length": length.astype(np.int32),
            "duration": scalar([batch.duration[batch.accepted] for batch in batches]),
            "rate_hz": np.full(len(ids), self._request.rate_hz),
            "family": pa.array(FAMILIES).take(pa.array(family)),
            "attempts": scalar([batch.candidates.attempts[rows] + 1 for batch, rows in pairs]).astype(np.int32),
        }
        lists = {
            name: self._gather([_column(batch, name) for batch in batches], places)
            for name in (column.name for column in records.columns(self._request.optional_columns) if column.is_list)
        }
        if isinstance(self._request.workspace, Objects):
            scalars["source"] = scalar([_copied(batch).source[batch.accepted] for batch in batches]).astype(np.int32)
        return records.build_table(scalars, lists, self._request.optional_columns)

    def _gather(
        self, parts: list[tuple[NDArray[Any], IntArray, NDArray[np.bool_]]], places: list[IntArray]
    ) -> tuple[NDArray[Any], IntArray]:
        """Puts each batch's accepted rows at their places; returns the values, flattened, and their offsets."""
        lengths = np.empty(sum(len(place) for place in places), np.int64)
        for (_, first, accepted), place in zip(parts, places, strict=True):
            lengths[place] = np.diff(first)[accepted]
        target_first = offsets(lengths)
        width = parts[0][0].shape[1]
        target = np.empty((int(target_first[-1]), width), parts[0][0].dtype)
        for (values, first, accepted), place in zip(parts, places, strict=True):
            _copy_rows(values, first, np.flatnonzero(accepted), target, target_first[place])
        return target.reshape(-1), target_first * width


@compiled
def _copy_rows(source: NDArray[Any], first: IntArray, rows: IntArray, target: NDArray[Any], begins: IntArray) -> None:
    """Copies row rows[i] of the source to where target row begins[i] begins."""
    for i in range(rows.size):
        here, size = first[rows[i]], first[rows[i] + 1] - first[rows[i]]
        for k in range(size):
            for c in range(source.shape[1]):
                target[begins[i] + k, c] = source[here + k, c]


def _column(batch: Batch, name: str) -> tuple[NDArray[Any], IntArray, NDArray[np.bool_]]:
    """A list column of a batch: values (N, width), first value row of each row, and which rows were accepted."""
    samples = batch.samples
    if name in ("profile_time", "profile_jerk"):
        values, first = _pieces(batch.motions, name)
        return values, first, batch.accepted
    if name.startswith("object/"):
        return _object_column(batch, name), samples.first, batch.accepted
    if name in ("source_time", "segment"):
        of_samples = _copied(batch).source_time if name == "source_time" else _copied(batch).segment
        return of_samples[:, None], samples.first, batch.accepted
    columns: dict[str, NDArray[Any]] = {
        "joint_position": samples.q,
        "joint_velocity": samples.qd,
        "joint_acceleration": samples.qdd,
        "ee_position": samples.position,
        "ee_rotation_6d": samples.rotation_6d,
        "gripper": samples.gripper[:, None],
    }
    return columns[name], samples.first, batch.accepted


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
