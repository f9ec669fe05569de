"""Parts of a shard, made side by side where a job has fewer shards left than there are workers.

Each part is a range of ids, made by a task of its own and left as an Arrow file beside the dataset's; the shard's task
then joins them. A part whose file is not there is made by that task, so a lost file costs time and nothing else.
"""

import json
from collections.abc import Sequence
from dataclasses import fields, replace

import pyarrow as pa

from services.synthesis.pipeline import ShardPlan, ShardRows, joined, synthesize
from shared.dataset import Dataset

LEAST_ROWS = 256
"""Rows of a part, at least: fewer are made sooner than they are handed over."""
_COUNTS = b"headstart_counts"


def in_parts(plans: Sequence[ShardPlan], workers: int) -> list[ShardPlan]:
    """The same shards, each to be made in so many parts that all of them keep the workers busy."""
    share = workers // max(len(plans), 1)
    return [replace(plan, parts=max(1, min(share, plan.rows // LEAST_ROWS))) for plan in plans]


def part_plans(plans: Sequence[ShardPlan]) -> list[ShardPlan]:
    """The parts of those shards that are made in several."""
    return [plan.part_plan(part) for plan in plans if plan.parts > 1 for part in range(plan.parts)]


def make_part(dataset: Dataset, part: ShardPlan) -> None:
    """Makes a part and leaves it for its shard, unless that was done before."""
    if dataset.storage.size(_name(part)) is None:
        dataset.storage.create(_name(part), _packed(synthesize(part)))


def made_in_parts(dataset: Dataset, plan: ShardPlan) -> ShardRows:
    """A shard's rows, from its parts: those that are there, and those that are made here."""
    return joined(plan.request, [_part(dataset, plan.part_plan(part)) for part in range(plan.parts)])


def remove_parts(dataset: Dataset, parts: Sequence[ShardPlan]) -> None:
    """Removes what is there of the parts' files."""
    names = [_name(part) for part in parts]
    dataset.storage.remove([name for name in names if dataset.storage.size(name) is not None])


def _part(dataset: Dataset, part: ShardPlan) -> ShardRows:
    content = dataset.storage.read(_name(part))
    rows = None if content is None else _unpacked(content)
    return synthesize(part) if rows is None else rows


def _name(part: ShardPlan) -> str:
    # Where what killed producers leave is swept up.
    return f".tmp/shard-{part.index:08d}-{part.first_id}-{part.rows}.part"


def _packed(rows: ShardRows) -> pa.Buffer:
    """A part's file: the table, and the counts in its metadata."""
    counts = {name: value for name, value in vars(rows).items() if name != "table"}
    table = rows.table.replace_schema_metadata({**rows.table.schema.metadata, _COUNTS: json.dumps(counts)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _unpacked(content: pa.Buffer) -> ShardRows | None:
    """The rows of a part's file; None of one that another release left."""
    table = pa.ipc.open_stream(content).read_all()
    metadata = dict(table.schema.metadata)
    counts = json.loads(metadata.pop(_COUNTS))
    if {"table", *counts} != {field.name for field in fields(ShardRows)}:
        return None
    return ShardRows(table.replace_schema_metadata(metadata), **counts)
