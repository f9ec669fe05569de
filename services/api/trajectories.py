"""Route of single rows as JSON, for looking at them; programs read shards."""

import functools
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import anyio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import APIRouter, Path, Request, Response

from services.api.copied import Demonstrated, demonstrated
from services.api.jobs import JobId, Jobs
from services.api.problems import RESPONSES, ProblemError
from services.api.schemas import CopyBody, TrajectoryBody
from services.jobs import Job, commit_of
from shared import records

MAX_SAMPLES = 200_000
"""Of the trajectories in one answer: some 40 MB."""
_TOGETHER_SAMPLES, _READ_BYTES = 1 << 14, 1 << 16
_SCALARS = ("trajectory_id", "family", "attempts", "length", "duration", "rate_hz")
_LISTS = ("joint_position", "joint_velocity", "ee_position", "ee_rotation_6d", "gripper")
_COPY_LISTS = ("source_time", "segment")
_PARTS = ("position", "rotation_6d")
"""Of an object's pose."""
_USUAL_VALUES, _OBJECT_VALUES = 24, 9
"""In a sample of a row, and of an object's pose."""

router = APIRouter(prefix="/v1/jobs/{job_id}/trajectories", tags=["data"], responses=RESPONSES)


@router.get("/{trajectory_id}", operation_id="get_trajectory", responses={200: {"model": CopyBody | TrajectoryBody}})
async def get_trajectory(
    call: Request,
    jobs: Jobs,
    job_id: JobId,
    trajectory_id: Annotated[int, Path(ge=0, lt=10**9, description="of the trajectory, from 0")],
) -> Response:
    """One trajectory as JSON, rounded to 1e-7, as soon as its shard is committed.

    That of a dataset of copies also has the demonstration that it is a copy of, the segments of that, and where the
    objects are.
    """
    job = jobs.job(job_id)
    content = await anyio.to_thread.run_sync(trajectory_json, job, trajectory_id, limiter=call.app.state.decoders)
    return Response(content, media_type="application/json")


def max_samples(objects: int) -> int:
    """MAX_SAMPLES, or as many with the poses of so many objects as make an answer no longer."""
    return MAX_SAMPLES * _USUAL_VALUES // (_USUAL_VALUES + _OBJECT_VALUES * objects)


def trajectory_json(job: Job, trajectory_id: int) -> bytes:
    """A row as JSON. Raises ProblemError, UnknownShardError, CorruptShardError, DatasetFormatError."""
    header = job.dataset.header
    if trajectory_id >= header.count:
        raise ProblemError(404, f"this dataset has trajectories 0 to {header.count - 1}")
    index, place = divmod(trajectory_id, header.shard_rows)
    commit, copied = commit_of(job, index), demonstrated(job.dataset)
    with (
        job.dataset.open_shard(commit) as content,
        pq.ParquetFile(content, pre_buffer=False, buffer_size=_READ_BYTES) as file,
    ):
        lengths = file.read(["length"], use_threads=False).column(0).to_numpy()
        most = max_samples(0 if copied is None else len(copied.objects))
        if lengths[place] > most:
            detail = f"this trajectory has more than {most} samples; fetch its shard, number {index}"
            raise ProblemError(422, detail)
        group = first = 0
        while place >= file.metadata.row_group(group).num_rows:
            place -= file.metadata.row_group(group).num_rows
            first += file.metadata.row_group(group).num_rows
            group += 1
        together = max(1, _TOGETHER_SAMPLES // int(lengths[first : first + place + 1].max()))
        read = functools.partial(_row, file, group, place, together)
        return f"{{{', '.join(_texts(read, header.robot.dof, copied))}}}".encode()


def _texts(read: Callable[[Sequence[str]], pa.Table], dof: int, copied: Demonstrated | None) -> Iterator[str]:
    """The keys of a row and their values, of which `read` reads some columns.

    Column by column: a trajectory is ten times larger as Python's numbers, and its columns are of equal size.
    """

    def values(name: str) -> str:
        return json.dumps(_values(read([name]), name, dof)[0], allow_nan=False)

    yield json.dumps(read(_SCALARS).to_pylist()[0])[1:-1]
    for name in _LISTS if copied is None else (*_LISTS, *_COPY_LISTS):
        yield f'"{name}": {values(name)}'
    if copied is None:
        return
    source = read(["source"]).column(0)[0].as_py()
    yield f'"source": {source}, "demonstration": {copied.demonstrations[source]}'
    poses = []
    for name in copied.objects:
        position, rotation_6d = (values(f"object/{name}/{part}") for part in _PARTS)
        poses.append(f'{json.dumps(name)}: {{"position": {position}, "rotation_6d": {rotation_6d}}}')
    yield f'"objects": {{{", ".join(poses)}}}'


def _row(file: pq.ParquetFile, group: int, place: int, together: int, names: Sequence[str]) -> pa.Table:
    """A row of a row group. Those before it are decoded, too, but never more than so many together."""
    for batch in file.iter_batches(together, row_groups=[group], columns=list(names), use_threads=False):
        if place < batch.num_rows:
            return pa.Table.from_batches([batch.slice(place, 1)])
        place -= batch.num_rows
    raise IndexError(f"row group {group} has no such row")


def trajectories_json(rows: pa.Table, dof: int, copied: Demonstrated | None) -> list[dict[str, Any]]:
    """Rows, copies of these demonstrations if of any, as JSON objects; lists are shaped (T, ...), rounded to 1e-7."""
    trajectories: list[dict[str, Any]] = rows.select(_SCALARS).to_pylist()
    for name in _LISTS if copied is None else (*_LISTS, *_COPY_LISTS):
        for row, values in zip(trajectories, _values(rows, name, dof), strict=True):
            row[name] = values
    if copied is not None:
        for row, source in zip(trajectories, rows.column("source").to_pylist(), strict=True):
            row |= {"source": source, "demonstration": json.loads(copied.demonstrations[source])}
            row["objects"] = {name: {} for name in copied.objects}
        for name, part in itertools.product(copied.objects, _PARTS):
            for row, values in zip(trajectories, _values(rows, f"object/{name}/{part}", dof), strict=True):
                row["objects"][name][part] = values
    return trajectories


def _values(rows: pa.Table, name: str, dof: int) -> list[list[Any]]:
    """A list column's rows, shaped and rounded."""
    values, offsets = records.list_column(rows, name)
    (column,) = records.columns_of(pa.schema([rows.schema.field(name)]))
    width = column.width(dof)
    rounded = values if values.dtype.kind == "i" else np.round(values.astype(np.float64), 7)
    shaped = rounded if width == 1 else rounded.reshape(-1, width)
    return [shaped[first // width : last // width].tolist() for first, last in itertools.pairwise(offsets)]
