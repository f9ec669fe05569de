"""Route of single rows as JSON, for looking at them; programs read shards."""

import itertools
import json
from collections.abc import Sequence
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
"""Of the trajectories in one answer: some 40 MB."""
_TOGETHER_SAMPLES, _READ_BYTES = 1 << 14, 1 << 16
_SCALARS = ("trajectory_id", "family", "attempts", "length", "duration", "rate_hz")
_LISTS = ("joint_position", "joint_velocity", "ee_position", "ee_rotation_6d", "gripper")

router = APIRouter(prefix="/v1/jobs/{job_id}/trajectories", tags=["data"], responses=RESPONSES)


@router.get("/{trajectory_id}", operation_id="get_trajectory", responses={200: {"model": TrajectoryBody}})
async def get_trajectory(
    call: Request, jobs: Jobs, job_id: JobId, trajectory_id: Annotated[int, Path(ge=0, lt=10**9)]
) -> Response:
    """One trajectory as JSON, rounded to 1e-7, as soon as its shard is committed."""
    job = jobs.job(job_id)
    content = await anyio.to_thread.run_sync(trajectory_json, job, trajectory_id, limiter=call.app.state.decoders)
    return Response(content, media_type="application/json")


def trajectory_json(job: Job, trajectory_id: int) -> bytes:
    """A row as JSON. Raises ProblemError, UnknownShardError, CorruptShardError."""
    header = job.dataset.header
    if trajectory_id >= header.count:
        raise ProblemError(404, f"this dataset has trajectories 0 to {header.count - 1}")
    index, place = divmod(trajectory_id, header.shard_rows)
    with (
        job.dataset.open_shard(commit_of(job, index)) as content,
        pq.ParquetFile(content, pre_buffer=False, buffer_size=_READ_BYTES) as file,
    ):
        lengths = file.read(["length"], use_threads=False).column(0).to_numpy()
        if lengths[place] > MAX_SAMPLES:
            detail = f"this trajectory has more than {MAX_SAMPLES} samples; fetch its shard, number {index}"
            raise ProblemError(422, detail)
        group = first = 0
        while place >= file.metadata.row_group(group).num_rows:
            place -= file.metadata.row_group(group).num_rows
            first += file.metadata.row_group(group).num_rows
            group += 1
        together = max(1, _TOGETHER_SAMPLES // int(lengths[first : first + place + 1].max()))
        # Column by column: a trajectory is ten times larger as Python's numbers, and its columns are of equal size.
        texts = [json.dumps(_row(file, group, place, together, _SCALARS).to_pylist()[0])[1:-1]]
        for name in _LISTS:
            values = _values(_row(file, group, place, together, [name]), name, header.robot.dof)[0]
            texts.append(f'"{name}": {json.dumps(values, allow_nan=False)}')
    return f"{{{', '.join(texts)}}}".encode()


def _row(file: pq.ParquetFile, group: int, place: int, together: int, names: Sequence[str]) -> pa.Table:
    """A row of a row group. Those before it are decoded, too, but never more than so many together."""
    for batch in file.iter_batches(together, row_groups=[group], columns=list(names), use_threads=False):
        if place < batch.num_rows:
            return pa.Table.from_batches([batch.slice(place, 1)])
        place -= batch.num_rows
    raise IndexError(f"row group {group} has no such row")


def trajectories_json(rows: pa.Table, dof: int) -> list[dict[str, Any]]:
    """Rows as JSON objects whose lists are shaped (T, ...), rounded to 1e-7."""
    trajectories: list[dict[str, Any]] = rows.select(_SCALARS).to_pylist()
    for name in _LISTS:
        for row, values in zip(trajectories, _values(rows, name, dof), strict=True):
            row[name] = values
    return trajectories


def _values(rows: pa.Table, name: str, dof: int) -> list[list[Any]]:
    """A list column's rows, shaped and rounded."""
    values, offsets = records.list_column(rows, name)
    width = next(column.width(dof) for column in records.COLUMNS if column.name == name)
    rounded = np.round(values.astype(np.float64), 7)
    shaped = rounded if width == 1 else rounded.reshape(-1, width)
    return [shaped[first // width : last // width].tolist() for first, last in itertools.pairwise(offsets)]
