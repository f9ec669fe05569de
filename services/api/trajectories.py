"""Route of single rows as JSON, for looking at them; programs read shards."""

import itertools
import json
from typing import Annotated, Any

import anyio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import APIRouter, Path, Request, Response

from services.api.jobs import JobId, Jobs
from services.api.problems import RESPONSES, ProblemError
from services.api.schemas import TrajectoryBody
from services.jobs import Job, commit_of
from shared import records

MAX_SAMPLES = 200_000
"""Of the trajectories in one answer: some 20 MB."""
_SCALARS = ("trajectory_id", "family", "attempts", "length", "duration", "rate_hz")
_LISTS = ("joint_position", "joint_velocity", "ee_position", "ee_rotation_6d", "gripper")

router = APIRouter(prefix="/v1/jobs/{job_id}/trajectories", tags=["data"], responses=RESPONSES)


@router.get("/{trajectory_id}", operation_id="get_trajectory", responses={200: {"model": TrajectoryBody}})
async def get_trajectory(
    call: Request, jobs: Jobs, job_id: JobId, trajectory_id: Annotated[int, Path(ge=0, lt=10**8)]
) -> Response:
    """One trajectory as JSON, rounded to 1e-7, as soon as its shard is committed."""
    job = jobs.job(job_id)
    content = await anyio.to_thread.run_sync(_read, job, trajectory_id, limiter=call.app.state.decoders)
    return Response(content, media_type="application/json")


def _read(job: Job, trajectory_id: int) -> bytes:
    header = job.dataset.header
    if trajectory_id >= header.count:
        raise ProblemError(404, f"this dataset has trajectories 0 to {header.count - 1}")
    index, place = divmod(trajectory_id, header.shard_rows)
    with job.dataset.open_shard(commit_of(job, index)) as content, pq.ParquetFile(content, pre_buffer=False) as file:
        group = 0
        while place >= file.metadata.row_group(group).num_rows:
            place -= file.metadata.row_group(group).num_rows
            group += 1
        row = file.read_row_group(group, [*_SCALARS, *_LISTS], use_threads=False).slice(place, 1).combine_chunks()
    if row.column("length")[0].as_py() > MAX_SAMPLES:
        raise ProblemError(422, f"this trajectory has more than {MAX_SAMPLES} samples; fetch its shard, number {index}")
    return json.dumps(trajectories_json(row, header.robot.dof)[0], allow_nan=False).encode()


def trajectories_json(rows: pa.Table, dof: int) -> list[dict[str, Any]]:
    """Rows as JSON objects whose lists are shaped (T, ...), rounded to 1e-7."""
    trajectories: list[dict[str, Any]] = rows.select(_SCALARS).to_pylist()
    for name in _LISTS:
        values, offsets = records.list_column(rows, name)
        width = next(column.width(dof) for column in records.COLUMNS if column.name == name)
        rounded = np.round(values.astype(np.float64), 7)
        for row, (first, last) in zip(trajectories, itertools.pairwise(offsets), strict=True):
            flat = rounded[first:last]
            row[name] = (flat if width == 1 else flat.reshape(-1, width)).tolist()
    return trajectories
