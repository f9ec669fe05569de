"""Checks of the profile columns: jerk within its limit everywhere, and that integrating it gives the samples.

A row's pieces are (segment, joint, piece) with a duration and a constant jerk each. Each joint starts at rest at its
first sample; a joint whose pieces are over before the segment's longest holds its velocity until then.
"""

import numpy as np
from numpy.typing import NDArray

from services.audit.findings import AuditReport
from services.audit.row_check import Rows
from shared.records import PIECES_PER_SEGMENT
from shared.robots import JointLimits

FloatArray = NDArray[np.float64]

_RELATIVE = 1e-9
_SAMPLE_TOLERANCE = 2e-6
"""Float32 rounding of 3 rad or 3 rad/s is 2e-7; the rest is for summing pieces."""


def check_profiles(report: AuditReport, limits: JointLimits, rows: Rows) -> NDArray[np.bool_]:
    """Checks rows that have profile columns; which rows' samples are those of their profiles, shape (n,)."""
    time, jerk, segment_row = pieces(rows, len(limits.jerk))
    ids = rows.ids[segment_row]
    report.measure("profile durations", -time, 0.0, "s", ids)
    excess = np.abs(jerk) - limits.jerk[:, None]
    report.measure("jerk limits (profiles)", excess, _RELATIVE * limits.jerk[:, None], "rad/s^3", ids)
    total = np.bincount(segment_row, time.sum(2).max(1), len(rows.ids))
    report.measure("profiles last the duration", np.abs(total - rows.duration), 1e-6, "s", rows.ids)
    begins, states = integrate(rows, time, jerk, segment_row)
    reached = np.abs(states[..., 2]) - limits.acceleration[:, None]
    report.measure("acceleration limits (profiles)", reached, 1e-6 * limits.acceleration[:, None], "rad/s^2", ids)
    return _compare(report, rows, begins, states, jerk, segment_row)


def pieces(rows: Rows, dof: int) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    """Durations and jerks, each (S, dof, 8), and each segment's row, (S,). The eighth piece waits for other joints."""
    assert rows.profile_first is not None
    shape = (-1, dof, PIECES_PER_SEGMENT)
    time = rows.lists["profile_time"].reshape(shape)
    jerk = rows.lists["profile_jerk"].reshape(shape)
    lasts = time.sum(2)
    wait = lasts.max(1, keepdims=True) - lasts
    time = np.concatenate([time, wait[..., None]], axis=2)
    jerk = np.concatenate([jerk, np.zeros((*wait.shape, 1))], axis=2)
    segments = np.diff(rows.profile_first) // (dof * PIECES_PER_SEGMENT)
    return time, jerk, np.repeat(np.arange(len(rows.ids)), segments)


def integrate(
    rows: Rows, time: FloatArray, jerk: FloatArray, segment_row: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """When each piece begins, (S, dof, 8) [s], and position, velocity and acceleration there, (S, dof, 8, 3)."""
    first_segment = np.flatnonzero(np.diff(segment_row, prepend=-1))
    counts = np.diff(first_segment, append=len(segment_row))
    states = np.empty((*time.shape, 3))
    begins = np.empty(time.shape)
    q = rows.lists["joint_position"][rows.first[:-1]].astype(np.float64)
    state = np.stack([q, np.zeros_like(q), np.zeros_like(q)], axis=-1)
    clock = np.zeros(q.shape)
    for step in range(int(counts.max(initial=0))):
        going = np.flatnonzero(counts > step)
        segment = first_segment[going] + step
        for piece in range(time.shape[2]):
            begins[segment, :, piece], states[segment, :, piece] = clock[going], state[going]
            duration = time[segment, :, piece]
            state[going] = advance(state[going], jerk[segment, :, piece], duration)
            clock[going] += duration
    return begins, states


def advance(state: FloatArray, jerk: FloatArray, t: FloatArray) -> FloatArray:
    """Position, velocity and acceleration (..., 3) a time t later, under constant jerk."""
    q, v, a = np.moveaxis(state, -1, 0)
    return np.stack([q + v * t + a * t**2 / 2 + jerk * t**3 / 6, v + a * t + jerk * t**2 / 2, a + jerk * t], axis=-1)


def _compare(
    report: AuditReport,
    rows: Rows,
    begins: FloatArray,
    states: FloatArray,
    jerk: FloatArray,
    segment_row: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Samples against the integrated profiles, joint by joint; which rows agree."""
    row, agree = rows.sample_row, np.ones(len(rows.ids), np.bool_)
    t = np.minimum((np.arange(len(row)) - rows.first[row]) / rows.rate_hz[row], rows.duration[row])
    # One search for all rows: each row's times are moved to a stretch of their own.
    stretch = 1.0 + float(rows.duration.max())
    moved = t + stretch * row
    for joint in range(begins.shape[1]):
        edges = (begins[:, joint] + stretch * segment_row[:, None]).reshape(-1)
        piece = np.searchsorted(edges, moved, side="right") - 1
        since = t - begins[:, joint].reshape(-1)[piece]
        value = advance(states[:, joint].reshape(-1, 3)[piece], jerk[:, joint].reshape(-1)[piece], since)
        for order, (name, unit) in enumerate(
            (("joint_position", "rad or m"), ("joint_velocity", "rad/s"), ("joint_acceleration", "rad/s^2"))
        ):
            if name in rows.lists:
                sample = rows.lists[name][:, joint].astype(np.float64)
                # Acceleration has corners, where a time off by its last digit tells by the jerk.
                tolerance = _SAMPLE_TOLERANCE * (1.0 if order < 2 else 1.0 + np.abs(jerk).max() / 1000)
                off = np.abs(value[:, order] - sample)
                report.measure(f"integrated profiles give {name}", off, tolerance, unit, rows.sample_ids)
                agree &= np.bincount(row, ~(off <= tolerance), len(agree)) == 0
    return agree
