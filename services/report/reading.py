"""A sample of a dataset's rows, a few at a time: whole row groups, spread over as many shards as the sample needs."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.audit.rows import Rows, read_rows
from shared import records
from shared.dataset import Dataset, verify_bytes
from shared.errors import CorruptShardError
from shared.manifest import Commit

MAX_SAMPLES = 10_000_000
"""Time steps after which reading ends, however few rows that was."""
_ROWS_AT_ONCE = 256
_SEED = 0


def read_sample(dataset: Dataset, commits: Sequence[Commit], rows: int) -> Iterator[tuple[Rows, list[str]]]:
    """Reads at least `rows` rows, or all there are, in order of their ids, each with its family's name.

    Rows are drawn independently of one another, so that whole row groups are as good a sample as single rows, and only
    their shards have to be read. Each of those is checked against its hash first.

    Args:
        dataset: finished or not.
        commits: of the shards to choose from.
        rows: wanted.

    Raises:
        CorruptShardError: a shard that is read is missing, damaged, or not of this dataset's columns. Names it.
    """
    each = math.ceil(rows / len(commits) / records.ROW_GROUP_ROWS)
    shards = math.ceil(rows / each / min(records.ROW_GROUP_ROWS, max(commit.rows for commit in commits)))
    chosen = np.sort(np.random.default_rng(_SEED).permutation(len(commits))[:shards])
    samples = 0
    for index in chosen:
        for part in _read_groups(dataset, commits[int(index)], each):
            yield part
            samples += int(part[0].first[-1])
            if samples >= MAX_SAMPLES:
                return


def _read_groups(dataset: Dataset, commit: Commit, count: int) -> Iterator[tuple[Rows, list[str]]]:
    """Rows of the shard's first `count` row groups."""
    where = f"{dataset.where}, shard {commit.index}"
    content = verify_bytes(dataset.shard_bytes(commit), commit, where)
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            if not file.schema_arrow.equals(records.schema(dataset.header.optional_columns)):
                raise CorruptShardError("its columns are not those that dataset.json says", where)
            groups = list(range(min(count, file.num_row_groups)))
            for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=groups, use_threads=False):
                table = pa.Table.from_batches([batch])
                yield read_rows(table, dataset.header.robot.dof), table.column("family").to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CorruptShardError(f"can't be read: {error}", where) from error
