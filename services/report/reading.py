"""A sample of a dataset's rows, a few at a time: whole row groups, spread over as many shards as the sample needs."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from services.audit.row_check import Rows, read_rows
from shared import records
from shared.dataset import Dataset, verify_bytes
from shared.errors import CorruptShardError
from shared.manifest import Commit

MAX_SAMPLES = 10_000_000
"""Time steps after which reading ends, however few rows that was."""
_ROWS_AT_ONCE = 256
_SEED = 0


class Sampled(NamedTuple):
    """Some rows.

    Attributes:
        rows: n of them.
        families: each one's family, by name.
        source: index of the demonstration that each is a copy of, shape (n,), or None in a dataset of no copies.
    """

    rows: Rows
    families: list[str]
    source: NDArray[np.int64] | None


def read_sample(dataset: Dataset, commits: Sequence[Commit], rows: int) -> Iterator[Sampled]:
    """Reads at least `rows` rows, or all there are, in order of their ids.

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
            samples += int(part.rows.first[-1])
            if samples >= MAX_SAMPLES:
                return


def _read_groups(dataset: Dataset, commit: Commit, count: int) -> Iterator[Sampled]:
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
                copied = "source" in table.column_names
                source = table.column("source").to_numpy().astype(np.int64) if copied else None
                rows = read_rows(table, dataset.header.robot.dof)
                yield Sampled(rows, table.column("family").to_pylist(), source)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CorruptShardError(f"can't be read: {error}", where) from error
