"""A few trajectories made at once and kept nowhere."""

import itertools
import json
from typing import Any

import numpy as np
import pyarrow as pa

from services.api.aside import Aside
from services.synthesis.pipeline import ShardPlan, ShardRows, robot_spec, synthesize
from services.synthesis.request import TrajectoryRequest
from shared import records
from shared.errors import RequestError

MAX_ROWS = 64
MAX_SAMPLES = 200_000
_SCALARS = ("trajectory_id", "family", "attempts", "length", "duration", "rate_hz")
_LISTS = ("joint_position", "joint_velocity", "ee_position", "ee_rotation_6d", "gripper")


def make_preview(aside: Aside, request: TrajectoryRequest, arrow: bool = False) -> bytes:
    """A preview made in that process as JSON, or the same rows as an Arrow IPC stream.

    Raises RequestError, SynthesisError, or ProblemError when it takes too long.
    """
    if request.count > MAX_ROWS:
        detail = f"a preview has at most {MAX_ROWS} trajectories; submit a job for more"
        raise RequestError("the request is not valid", [("/count", detail)])
    return aside.call(preview, request, arrow)


def preview(request: TrajectoryRequest, arrow: bool) -> bytes:
    """Runs in the worker: a request's rows, encoded."""
    rows = synthesize(ShardPlan(request, 0, 0, request.count))
    samples = sum(rows.table.column("length").to_pylist())
    if samples > MAX_SAMPLES:
        detail = f"{samples} samples are more than a preview's {MAX_SAMPLES}; lower it, ask for fewer, or go faster"
        raise RequestError("the request is not valid", [("/rate_hz", detail)])
    return _as_arrow(rows.table) if arrow else _as_json(request, rows)


def _as_arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _as_json(request: TrajectoryRequest, rows: ShardRows) -> bytes:
    """Rows whose lists are shaped (T, ...)."""
    spec = robot_spec(request)
    trajectories: list[dict[str, Any]] = rows.table.select(_SCALARS).to_pylist()
    for name in _LISTS:
        values, offsets = records.list_column(rows.table, name)
        width = next(column.width(spec.dof) for column in records.COLUMNS if column.name == name)
        rounded = np.round(values.astype(np.float64), 7)
        for row, (first, last) in zip(trajectories, itertools.pairwise(offsets), strict=True):
            flat = rounded[first:last]
            row[name] = (flat if width == 1 else flat.reshape(-1, width)).tolist()
    body = {
        "robot": spec.to_json(),
        "attempts": rows.attempts,
        "rejections": rows.rejections,
        "trajectories": trajectories,
    }
    return json.dumps(body, allow_nan=False).encode()
