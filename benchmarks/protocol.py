"""What the protocol costs where much is there already: looks, sealing, the service's start, a request of 10^9 rows.

    python -m benchmarks.protocol [--commits N] [--jobs N]

Commits are made up, of a Panda's columns; nothing is synthesized. What is measured runs in a process of its own, whose
memory is what it held at most beyond what it held after its imports. Linux only.

- `first_look_s`, `first_look_mb`: opening a growing dataset, its state, and going through every commit.
- `later_look_ms`: its state and the newest commit, after one more came; the median of 50.
- `seal_s`, `seal_mb`: sealing it. `sealed_state_s`, `sealed_state_mb`: opening it then, its state, and the sums.
- `sealed_commits_s`: going through every commit of it.
- `service_start_s`: from the start of the process to its first answer, with finished jobs of 1,000 shards each;
  `service_start_empty_s`: without any.
- `billion_begin_s`: accepting, planning and beginning a request of 10^9 rows. `shard_ms_million`, `shard_ms_billion`:
  what a shard costs beside its synthesis, over the last 245 of 10^6 and of 10^9 rows; `billion_over_million` is their
  ratio.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa

from benchmarks._bars import Bar, conclude
from headstart_client.data.commit_block import BLOCK, pack_block
from services.engine.engine import EngineName
from services.jobs import Tally, begin, make_dataset
from services.jobs.header import dataset_header
from services.synthesis.pipeline import ShardPlan, plan_shards
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared import records
from shared.client import Client
from shared.dataset import Dataset
from shared.manifest import Commit, DatasetHeader
from shared.statistics import column_statistics
from shared.storage import Location
from tests.services.example import RunningService

BARS: dict[str, Bar] = {
    "first_look_s": ("<", 1.0),
    "first_look_mb": ("<", 100.0),
    "later_look_ms": ("<=", 10.0),
    "seal_s": ("<=", 3.0),
    "sealed_state_s": ("<", 0.3),
    "sealed_state_mb": ("<", 60.0),
    "service_start_s": ("<=", 3.0),
    "billion_over_million": ("<=", 1.1),
}
LAST = 245
"""Shards of 10^6 rows."""
JOB_SHARDS = 1000
_LOOKS, _ROUNDS = 50, 5


def _request(**changes: Any) -> TrajectoryRequest:
    return TrajectoryRequest.parse({"robot": "panda", "count": 10**6, **changes})


def _table() -> pa.Table:
    """A few rows of a Panda's columns, all zero: what is packed and hashed beside synthesis is not of interest."""
    lists = {
        column.name: (
            np.zeros(4 * column.width(7), column.dtype.to_pandas_dtype()),
            np.arange(0, 5, 2) * column.width(7),
        )
        for column in records.columns()
        if column.is_list
    }
    scalars = {"trajectory_id": [0, 1], "length": [2, 2], "duration": [0.05, 0.05], "rate_hz": [20.0, 20.0]}
    return records.build_table({**scalars, "family": ["hold", "hold"], "attempts": [1, 1]}, lists)


def _commit(index: int) -> Commit:
    content = f"{index:064x}"
    file = f"shard-{index:08d}-{content[:16]}.parquet"
    return Commit(index, 4096, 200_000, 20_000_000, file, content, content, 6000, {"self_collision": 1800, "ik": 104})


def _begun(where: Path, header: DatasetHeader, commits: Iterable[int], of_shard: dict[str, Any]) -> Dataset:
    """A dataset with these commits, those of whole blocks in blocks; its shards' files are missing."""
    dataset, waiting = Dataset.create(where, header), list[int]()
    for index in commits:
        waiting.append(index)
        if index % BLOCK == BLOCK - 1:
            content = pack_block([_commit(one) for one in waiting], [of_shard] * len(waiting))
            dataset.storage.create(f"commits/{waiting[0]:08d}-{waiting[-1]:08d}.parquet", content)
            waiting = []
    for index in waiting:
        (where / f"commits/{index:08d}.json").write_text(
            json.dumps({**_commit(index).to_json(), "statistics": of_shard})
        )
    return dataset


def _peak_mb() -> float:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1000


def _timed(act: Callable[[], Any]) -> tuple[float, float]:
    """Seconds, and megabytes held at most beyond those held before."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before, began = _peak_mb(), time.perf_counter()
    act()
    seconds = time.perf_counter() - began
    return seconds, _peak_mb() - before


def looks(where: Path) -> dict[str, float]:
    """Of a growing dataset that lacks its last _LOOKS shards, which come meanwhile; then it is sealed."""
    first_s, first_mb = _timed(lambda: Dataset(where).state().commits.totals())
    dataset = Dataset(where)
    there = len(dataset.state().commits)
    each = []
    for index in range(there, dataset.header.shards):
        (where / f"commits/{index:08d}.json").write_text(
            json.dumps({**_commit(index).to_json(), "statistics": dataset.statistics(0)})
        )
        began = time.perf_counter()
        state = dataset.state()
        assert state.commits[-1].index == index
        each.append(time.perf_counter() - began)
    seal_s, seal_mb = _timed(lambda: Dataset(where).set_state("sealed"))
    return {
        "first_look_s": first_s,
        "first_look_mb": first_mb,
        "later_look_ms": 1e3 * statistics.median(each),
        "seal_s": seal_s,
        "seal_mb": seal_mb,
    }


def sealed(where: Path) -> dict[str, float]:
    """Of a sealed dataset."""

    def state() -> None:
        dataset = Dataset(where)
        assert dataset.state().watermark == dataset.totals().commits == dataset.header.shards

    state_s, state_mb = _timed(state)
    commits_s, commits_mb = _timed(lambda: sum(commit.rows for commit in Dataset(where).state().commits))
    return {
        "sealed_state_s": state_s,
        "sealed_state_mb": state_mb,
        "sealed_commits_s": commits_s,
        "sealed_commits_mb": commits_mb,
    }


def _apart(name: str, where: Path) -> dict[str, float]:
    """What a function of this module measures, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.protocol", "--measure", name, "--where", str(where)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def service_start(data: Path) -> float:
    """Seconds from the start of a service to its first page of jobs."""
    began = time.perf_counter()
    service = RunningService(data, "--engine", "process", "--workers", "1", is_warm=False)
    try:
        with Client(service.url) as client:
            next(client.jobs(), None)
            return time.perf_counter() - began
    finally:
        service.stop()


def _finished_jobs(data: Path, jobs: int) -> None:
    """Datasets of sealed jobs; their commits are one file under many names."""
    header, of_shard = dataset_header(_request(count=4096 * JOB_SHARDS)), column_statistics(_table(), 7)
    first = _begun(data / f"{0:064x}", replace(header, dataset_id=f"{0:064x}"), range(JOB_SHARDS), of_shard)
    first.set_state("sealed")
    (block,) = (first.root / "commits").iterdir()
    for number in range(1, jobs):
        name = f"{number:064x}"
        for folder in ("commits", "shards"):
            (data / name / folder).mkdir(parents=True)
        (data / name / "dataset.json").write_text(json.dumps(replace(first.header, dataset_id=name).to_json()))
        os.link(first.root / "manifest.json", data / name / "manifest.json")
        os.link(block, data / name / "commits" / block.name)


class _Packer:
    """An engine that publishes the same few rows for every shard."""

    name: EngineName = "inline"
    workers = 1
    problem = ""

    def __init__(self) -> None:
        self._table = _table()

    def start(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Nothing to start."""

    def run_shards(
        self,
        plans: Iterable[ShardPlan],
        root: Location,
        on_commit: Callable[[Commit], None],
        should_stop: Callable[[], bool],
        priority: Callable[[], int] = lambda: 0,
    ) -> bool:
        """See Engine.run_shards."""
        for plan in plans:
            on_commit(Dataset(root).publish(plan.index, self._table, 2, {}))
        return True

    def close(self) -> None:
        """Nothing to end."""


def shard_seconds(request: TrajectoryRequest, where: Path) -> float:
    """What each of the last shards of a request costs."""
    there = range(len(plan_shards(request)) - LAST)
    dataset, began = _begun(where, dataset_header(request), there, {}), 0.0

    def on_progress(tally: Tally, commit: Commit | None) -> None:
        nonlocal began
        # Taking up what is there is done once.
        if commit is None:
            began = time.perf_counter()

    assert make_dataset(request, dataset, _Packer(), on_progress=on_progress)
    return (time.perf_counter() - began) / LAST


def main() -> int:
    """Prints one JSON object on the last line. Returns the exit status."""
    parser = argparse.ArgumentParser(description="what the protocol costs")
    parser.add_argument("--commits", type=int, default=100_000, help="of the dataset that is looked at")
    parser.add_argument("--jobs", type=int, default=1000, help=f"finished ones, of {JOB_SHARDS} shards each")
    parser.add_argument("--measure", choices=("looks", "sealed"), help=argparse.SUPPRESS)
    parser.add_argument("--where", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps({"looks": looks, "sealed": sealed}[options.measure](options.where)))
        return 0
    report: dict[str, float] = {"commits": options.commits, "jobs": options.jobs}
    with tempfile.TemporaryDirectory(prefix="headstart-protocol-") as name:
        folder = Path(name)
        header = dataset_header(_request(count=options.commits, shard_rows=1))
        _begun(folder / "many", header, range(options.commits - _LOOKS), column_statistics(_table(), 7))
        report |= _apart("looks", folder / "many") | _apart("sealed", folder / "many")
        _finished_jobs(folder / "data", options.jobs)
        report["service_start_s"] = service_start(folder / "data")
        report["service_start_empty_s"] = service_start(folder / "empty")
        began = time.perf_counter()
        billion = _request(count=10**9)
        planned = plan_shards(billion)[-1]
        begin(billion, folder / "billion")
        report["billion_begin_s"] = time.perf_counter() - began
        assert planned.first_id + planned.rows == 10**9
        # In turn, and the least of each: whatever else the machine does only adds to it.
        requests = {"million": _request(), "billion": billion}
        each = [
            {key: shard_seconds(request, folder / f"{key}-{number}") for key, request in requests.items()}
            for number in range(_ROUNDS)
        ]
        for key in requests:
            report[f"shard_ms_{key}"] = 1e3 * min(seconds[key] for seconds in each)
        report["billion_over_million"] = report["shard_ms_billion"] / report["shard_ms_million"]
    return conclude({name: round(value, 3) for name, value in report.items()}, BARS)


if __name__ == "__main__":
    sys.exit(main())
