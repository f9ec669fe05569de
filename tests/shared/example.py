"""A tiny two-joint dataset, made of random numbers: for tests of the protocol, which looks at no meaning."""

import functools
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa

from headstart_client.data.columns import columns
from headstart_client.data.records import build_table
from shared.dataset import Dataset
from shared.manifest import DatasetHeader
from shared.robots import JointLimits, RobotSpec

_ONES = np.ones(2)
ROBOT = RobotSpec("twolink", ("a", "b"), JointLimits(-3 * _ONES, 3 * _ONES, _ONES, _ONES, _ONES), "base", "tip")
HEADER = DatasetHeader(
    dataset_id="a" * 64,
    request={"robot": "twolink", "count": 20},
    generator_version=1,
    robot=ROBOT,
    count=20,
    shard_rows=8,
    rate_hz=20.0,
    optional_columns=(),
    action_range={
        "position": {"min": [-1.0] * 3, "max": [1.0] * 3},
        "joint_position": {"min": [-3.0] * 2, "max": [3.0] * 2},
    },
    versions={"numpy": np.__version__},
)


OTHER = replace(
    HEADER,
    dataset_id="b" * 64,
    count=53,
    shard_rows=10,
    action_range={
        "position": {"min": [-1.5] * 3, "max": [0.9] * 3},
        "joint_position": {"min": [-2.0] * 2, "max": [4.0] * 2},
    },
)
"""Another dataset of the same arm."""


def example_table(index: int, rows: int, header: DatasetHeader = HEADER) -> pa.Table:
    """Shard `index`: `rows` rows of 3 to 40 samples, a function of `index` and the dataset's count alone."""
    return _example_table(index, rows, header.count, header.shard_rows)


@functools.cache
def _example_table(index: int, rows: int, count: int, shard_rows: int) -> pa.Table:
    rng = np.random.default_rng(index + count - HEADER.count)
    lengths = rng.integers(3, 41, rows).astype(np.int32)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    first = index * shard_rows
    scalars = {
        "trajectory_id": np.arange(first, first + rows),
        "length": lengths,
        "duration": (lengths - 1) / HEADER.rate_hz,
        "rate_hz": np.full(rows, HEADER.rate_hz),
        "family": ["point_to_point"] * rows,
        "attempts": np.ones(rows, np.int32),
    }
    lists = {}
    for column in columns():
        if column.is_list:
            width = column.width(ROBOT.dof)
            lists[column.name] = (rng.uniform(-1, 1, ends[-1] * width).astype(np.float32), ends * width)
    return build_table(scalars, lists)


def remove_commits(dataset: Dataset, *indices: int, shards_too: bool = True) -> None:
    """Makes a dataset in a directory one that is still growing, without these commits, and without their shards."""
    commits = {
        commit.index: {**commit.to_json(), "statistics": dataset.statistics(commit.index)}
        for commit in dataset.commits()
    }
    for index in indices if shards_too else ():
        dataset.shard_path(index).unlink()
    for path in (dataset.root / "commits").iterdir():
        path.unlink()
    for index, body in commits.items():
        if index not in indices:
            (dataset.root / f"commits/{index:08d}.json").write_text(json.dumps(body))
