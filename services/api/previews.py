"""A few trajectories made at once and kept nowhere."""

import json

import pyarrow as pa

from services.api.bounded_process import BoundedProcesses
from services.api.copied import Demonstrated
from services.api.preview_cost import LONG_SAMPLES, check_cost, expected_samples
from services.api.trajectories import max_samples, trajectories_json
from services.synthesis.pipeline import ShardPlan, ShardRows, robot_spec, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest
from services.synthesis.request.workspace import Objects
from shared.errors import RequestError

MAX_ROWS = 64


def make_preview(processes: BoundedProcesses, request: TrajectoryRequest, arrow: bool = False) -> bytes:
    """A preview made in one of these processes as JSON, or the same rows as an Arrow IPC stream.

    Raises RequestError, SynthesisError, or ProblemError when it takes too long.
    """
    if request.count > MAX_ROWS:
        detail = f"a preview has at most {MAX_ROWS} trajectories; submit a job for more"
        raise RequestError("the request is not valid", [("/count", detail)])
    check_cost(request, _most_samples(request))
    return processes.call(preview, request, arrow, is_long=expected_samples(request) > LONG_SAMPLES)


def prepare() -> None:
    """Runs first in each worker: compiles what most previews need, which takes 15 s where none has been made before."""
    request = TrajectoryRequest.parse({"robot": "panda", "count": 1, "workspace": {"kind": "reachable"}})
    synthesize(ShardPlan(request, 0, 0, 1))


def preview(request: TrajectoryRequest, arrow: bool) -> bytes:
    """Runs in the worker: a request's rows, encoded."""
    rows = synthesize(ShardPlan(request, 0, 0, request.count))
    samples = sum(rows.table.column("length").to_pylist())
    most = _most_samples(request)
    if samples > most:
        detail = f"{samples} samples are more than a preview's {most}; lower it, ask for fewer, or go faster"
        raise RequestError("the request is not valid", [("/rate_hz", detail)])
    workspace = request.workspace
    copied = Demonstrated.of(workspace.motions) if isinstance(workspace, Objects) else None
    return _as_arrow(rows.table) if arrow else _as_json(request, rows, copied)


def _most_samples(request: TrajectoryRequest) -> int:
    return max_samples(len(request.workspace.motions.objects) if isinstance(request.workspace, Objects) else 0)


def _as_arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _as_json(request: TrajectoryRequest, rows: ShardRows, copied: Demonstrated | None) -> bytes:
    spec = robot_spec(request)
    body = {
        "robot": spec.to_json(),
        "attempts": rows.attempts,
        "rejections": rows.rejections,
        "trajectories": trajectories_json(rows.table, spec.dof, copied),
    }
    return json.dumps(body, allow_nan=False).encode()
