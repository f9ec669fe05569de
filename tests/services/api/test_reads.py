"""What looking into a dataset costs the service: memory and threads, whatever the dataset."""

import subprocess
import sys
import threading
from typing import Any

import anyio
import pytest

from services import dataset_coverage as coverage
from services.api.coverage import Coverages
from services.jobs import open_dataset_root
from services.jobs.store import stored_job
from shared.dataset import Dataset
from tests.services.example import ROOT

GROWTH_MB = 60
"""Of the process; it was 255 MB for coverage, and 147 MB for a row."""
GROWTH = """
from services.memory import give_memory_back, use_one_allocator
use_one_allocator()
give_memory_back()
import resource, sys
from pathlib import Path
from services import dataset_coverage as coverage
from services.api.trajectories import trajectory_json
from services.jobs import open_dataset_root
from services.jobs.store import stored_job

path = Path(sys.argv[1])
job = stored_job(open_dataset_root(path.parent, 0), path.name)

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3

before = peak_mb()
if sys.argv[2] == "coverage":
    coverage.sample(job.dataset, job.dataset.commits()).to_json()
else:
    trajectory_json(job, int(sys.argv[2]))
print(peak_mb() - before)
"""


@pytest.mark.parametrize("what", ["coverage", "0", "119"])
def test_reading_takes_no_more_memory_than_a_few_rows(dense: Dataset, what: str) -> None:
    arguments = [sys.executable, "-c", GROWTH, str(dense.root), what]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < GROWTH_MB


def test_coverage_looks_at_so_many_samples_and_shares_them_among_the_shards(
    dense: Dataset, reference: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = dense.commits()[0]
    lengths = dense.read_shard(commit).column("length").to_pylist()
    monkeypatch.setattr(coverage, "MAX_SAMPLES", sum(lengths[:3]))
    found = coverage.sample(dense, [commit])
    counts = found.to_json()
    assert found.rows == sum(counts["family"].values()) == 3
    assert all(sum(joint["counts"]) == sum(lengths[:3]) for joint in counts["joint_position"])
    # What the first shards leave goes to the last, which are as long.
    shards = reference.commits()
    monkeypatch.setattr(coverage, "MAX_SAMPLES", sum(reference.read_shard(shards[0]).column("length").to_pylist()))
    assert 10 < coverage.sample(reference, shards).rows <= 30
    monkeypatch.setattr(coverage, "MAX_SAMPLES", 1)
    assert coverage.sample(dense, [commit]).rows == 0


def test_calls_that_wait_for_coverage_take_no_thread_from_others(
    dense: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = stored_job(open_dataset_root(dense.root.parent, 0), dense.header.dataset_id)
    gate, sample = threading.Event(), coverage.sample

    def gated(*arguments: Any) -> coverage.Histograms:
        assert gate.wait(60)
        return sample(*arguments)

    monkeypatch.setattr(coverage, "sample", gated)

    async def run() -> None:
        coverages = Coverages()
        others = anyio.to_thread.current_default_thread_limiter()
        async with anyio.create_task_group() as group:
            for _ in range(int(others.total_tokens) + 1):
                group.start_soon(coverages.of, job)
            await anyio.wait_all_tasks_blocked()
            assert others.borrowed_tokens == 0
            gate.set()

    anyio.run(run)
