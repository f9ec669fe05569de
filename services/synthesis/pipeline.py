"""The flow of synthesis: a plan of shards, and each shard's rows as a pure function of its plan.

draw -> waypoints (IK) -> profiles -> samples -> checks -> rows, or counted rejections and another draw
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
import pyarrow as pa

from services.synthesis.arm.robot_model import robot_model
from services.synthesis.candidates import first_accepted, make_batch
from services.synthesis.feasibility import check_feasible
from services.synthesis.pending import MAX_ATTEMPTS, Pending, batch_size
from services.synthesis.ranges import action_range
from services.synthesis.request.shard_size import SHARD_BYTES
from services.synthesis.request.trajectory_request import TrajectoryRequest
from services.synthesis.rows import RowBuffer
from services.synthesis.tally import Tally
from shared.errors import SynthesisError
from shared.robots import RobotSpec

MAX_SHARD_BYTES = 2 * SHARD_BYTES
"""Bytes of a shard's values: far more than is expected of any request that is accepted."""


@dataclass(frozen=True)
class ShardPlan:
    """One shard of a request, or a part of one: rows first_id, first_id + 1, ...

    Attributes:
        request: the whole request.
        index: of the shard.
        first_id: trajectory_id of its first row.
        rows: number of rows.
        parts: how many parts the shard is made in, side by side.
        part: which of them this is, from 0; None for the whole shard.
    """

    request: TrajectoryRequest
    index: int
    first_id: int
    rows: int
    parts: int = 1
    part: int | None = None

    def part_plan(self, part: int) -> "ShardPlan":
        """One of the shard's parts: they have about equally many rows, in the order of their ids."""
        begin, end = (self.rows * k // self.parts for k in (part, part + 1))
        return replace(self, first_id=self.first_id + begin, rows=end - begin, part=part)


@dataclass(frozen=True, eq=False)
class ShardRows:
    """A shard's rows.

    Attributes:
        table: in the schema of shared.records, sorted by trajectory_id.
        nbytes: of the list columns' values.
        attempts: candidates drawn; rows plus rejections.
        rejections: how many candidates failed, by reason.
        rejections_by_family: likewise, for each family that has any.
        redraws_by_family: how many ends of candidates, rejected or not, were drawn anew, by family and reason.
    """

    table: pa.Table
    nbytes: int
    attempts: int
    rejections: dict[str, int]
    rejections_by_family: dict[str, dict[str, int]]
    redraws_by_family: dict[str, dict[str, int]]

    @property
    def redraws(self) -> int:
        """How many ends were drawn anew."""
        return sum(sum(counts.values()) for counts in self.redraws_by_family.values())


def joined(request: TrajectoryRequest, parts: Sequence[ShardRows]) -> ShardRows:
    """A shard's rows from those of its parts, in order: the same as if it had been made whole.

    Raises SynthesisError if they are more than a shard's may be.
    """
    table = pa.concat_tables([part.table for part in parts]).combine_chunks()
    nbytes = sum(part.nbytes for part in parts)
    if nbytes > MAX_SHARD_BYTES:
        raise _too_large(request)
    return ShardRows(
        table,
        nbytes,
        sum(part.attempts for part in parts),
        _sum([part.rejections for part in parts]),
        _sum_by_family([part.rejections_by_family for part in parts]),
        _sum_by_family([part.redraws_by_family for part in parts]),
    )


def _sum(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    return dict(sorted(sum(map(Counter, counts), Counter[str]()).items()))


def _sum_by_family(counts: Sequence[dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    families = sorted({family for one in counts for family in one})
    return {family: _sum([one.get(family, {}) for one in counts]) for family in families}


class ShardPlans(Sequence[ShardPlan]):
    """The shards of a request, in index order, each planned when it is asked for: there may be a million."""

    def __init__(self, request: TrajectoryRequest) -> None:
        self._request = request

    def __len__(self) -> int:
        return -(-self._request.count // self._request.shard_rows)

    @overload
    def __getitem__(self, place: int) -> ShardPlan: ...
    @overload
    def __getitem__(self, place: slice) -> list[ShardPlan]: ...
    def __getitem__(self, place: int | slice) -> ShardPlan | list[ShardPlan]:
        """One of them, or those of a slice."""
        indices = range(len(self))[place]
        return self._plan(indices) if isinstance(indices, int) else [self._plan(index) for index in indices]

    def _plan(self, index: int) -> ShardPlan:
        size, first = self._request.shard_rows, index * self._request.shard_rows
        return ShardPlan(self._request, index, first, min(size, self._request.count - first))


def plan_shards(request: TrajectoryRequest) -> ShardPlans:
    """The shards of a request, in index order."""
    return ShardPlans(request)


def robot_spec(request: TrajectoryRequest) -> RobotSpec:
    """Names, limits and frames of the request's robot."""
    return robot_model(request.arm).spec


def synthesize(plan: ShardPlan, batch_rows: int | None = None) -> ShardRows:
    """Makes a shard's rows: the same bytes whatever `batch_rows`, process or x86-64 machine.

    Args:
        plan: of the shard.
        batch_rows: candidates worked on together; by default as many as have about BATCH_SAMPLES samples.

    Raises:
        SynthesisError: none of the first candidates of a family was accepted, or none of those of a trajectory,
            the lowest of which it names; carries the counts. All of it is a function of the request, but that a shard
            which is too large, too, may say that instead.
    """
    request = plan.request
    check_feasible(request)
    robot, ranges = robot_model(request.arm), action_range(request)
    pending = Pending(np.arange(plan.first_id, plan.first_id + plan.rows, dtype=np.int64))
    buffer, tally = RowBuffer(request), Tally()
    sampled_rows = sampled = 0
    while len(pending):
        ids, attempts = pending.take(batch_rows or batch_size(request, sampled_rows, sampled), tally)
        batch, counted = first_accepted(make_batch(request, robot, ranges, ids, attempts))
        sampled_rows, sampled = sampled_rows + len(batch.accepted), sampled + int(batch.samples.first[-1])
        buffer.append(batch)
        tally.add(batch, counted)
        pending.settle(batch, counted)
        if buffer.nbytes > MAX_SHARD_BYTES:
            raise _too_large(request)
    if pending.given_up is not None:
        raise tally.given_up(pending.given_up, MAX_ATTEMPTS)
    return ShardRows(
        buffer.table(),
        buffer.nbytes,
        tally.tried,
        tally.rejections,
        tally.rejections_by_family,
        tally.redraws_by_family,
    )


def _too_large(request: TrajectoryRequest) -> SynthesisError:
    return SynthesisError(
        f"a shard of {request.shard_rows} rows takes more than {MAX_SHARD_BYTES} bytes; lower shard_rows or rate_hz, "
        "or raise the lower end of speed_scale or tool_speed"
    )
