"""Pieces of constant jerk evaluated on their own terms, to compare the generator's output with."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.pipeline import ShardRows
from tests.services.synthesis.examples import row_values

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class FineRow:
    """One row at many times.

    Attributes:
        t: shape (N,) [s].
        q: shape (N, dof), like `qd`, `qdd` and `qddd`, all in float64.
    """

    t: FloatArray
    q: FloatArray
    qd: FloatArray
    qdd: FloatArray
    qddd: FloatArray


def fine_rows(rows: ShardRows, points: int = 9, dof: int = 7) -> list[FineRow]:
    """Rows at `points` times in each of their pieces, the ends of pieces included, from their profile columns.

    A power basis about each piece's beginning, with the state carried by Taylor's formula: q + v t + a t^2/2 + j t^3/6.
    """
    columns = (("joint_position", dof), ("profile_time", 7 * dof), ("profile_jerk", 7 * dof))
    return [
        _fine(q[0].astype(np.float64), time.reshape(-1, dof, 7), jerk.reshape(-1, dof, 7), points)
        for q, time, jerk in zip(*(row_values(rows, *column) for column in columns), strict=True)
    ]


def _fine(q0: FloatArray, time: FloatArray, jerk: FloatArray, points: int) -> FineRow:
    """All joints on one clock: the union of every joint's piece borders, and points in between."""
    lengths = time.sum(2).max(1)
    begins = np.concatenate([[0.0], np.cumsum(lengths)])
    borders = (begins[:-1, None, None] + np.cumsum(time, axis=2)).reshape(-1)
    clock = np.unique(np.concatenate([begins, borders]))
    clock = np.concatenate([clock[:1], clock[1:][np.diff(clock) > 1e-12]])
    t = (clock[:-1, None] + np.linspace(0, 1, points) * np.diff(clock)[:, None]).reshape(-1)
    out = np.zeros((4, len(t), len(q0)))
    for joint in range(len(q0)):
        out[:, :, joint] = evaluate(float(q0[joint]), time[:, joint], jerk[:, joint], lengths, t)
    return FineRow(t, *out)


def evaluate(q0: float, time: FloatArray, jerk: FloatArray, lengths: FloatArray, t: FloatArray) -> FloatArray:
    """Position and its derivatives of one joint, shape (4, N). Pieces (S, 7); each segment's last wait has no jerk."""
    durations = np.concatenate([time, (lengths - time.sum(1))[:, None]], axis=1).reshape(-1).clip(0)
    jerks = np.concatenate([jerk, np.zeros((len(jerk), 1))], axis=1).reshape(-1)
    states, state = [], np.array([q0, 0.0, 0.0])
    for h, j in zip(durations, jerks, strict=True):
        states.append(state)
        q, v, a = state
        state = np.array([q + v * h + a * h**2 / 2 + j * h**3 / 6, v + a * h + j * h**2 / 2, a + j * h])
    begins = np.concatenate([[0.0], np.cumsum(durations)[:-1]])
    piece = np.searchsorted(begins, t, side="right") - 1
    q, v, a = np.array(states)[piece].T
    s, j = t - begins[piece], jerks[piece]
    return np.stack([q + v * s + a * s**2 / 2 + j * s**3 / 6, v + a * s + j * s**2 / 2, a + j * s, j])
