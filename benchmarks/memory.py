"""Peak memory of a worker after a few and after many trajectories.

    python -m benchmarks.memory [--few N] [--many N]

One dataset of the default mix, made by one worker process; Linux says what that process held at most so far. Shards
are removed once they are committed, so that no disk is needed. Linux only.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from services.engine.process import ProcessEngine
from services.jobs import begin
from services.synthesis.pipeline import plan_shards
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.manifest import Commit

SHARD_ROWS = 2000
SAY_EVERY_S = 30.0


def peak_bytes() -> int:
    """The most that the worker process held at once since it started."""
    (worker,) = multiprocessing.active_children()
    lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak) * 1024


def measure(few: int, many: int, folder: Path) -> dict[str, float]:
    """Peaks [MB] after `few` and after `many` trajectories of one worker."""
    request = TrajectoryRequest.parse({"robot": "panda", "count": many, "shard_rows": SHARD_ROWS})
    dataset, engine = begin(request, folder), ProcessEngine(1)
    peaks: dict[int, int] = {}
    began = said = time.monotonic()

    def on_commit(commit: Commit) -> None:
        nonlocal said
        made = (commit.index + 1) * SHARD_ROWS
        dataset.shard_path(commit.index).unlink()
        peaks[made] = peak_bytes()
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            print(f"{made} rows, {made / (said - began):.0f} a second, peak {peaks[made] / 1e6:.1f} MB", flush=True)

    try:
        assert engine.run_shards(plan_shards(request), dataset.where, on_commit, lambda: False)
    finally:
        engine.close()
    first, last = peaks[few] / 1e6, peaks[many] / 1e6
    return {
        "few": few,
        "many": many,
        "peak_mb_few": round(first, 1),
        "peak_mb_many": round(last, 1),
        "many_over_few": round(last / first, 4),
    }


def main() -> None:
    """Prints one JSON object on the last line."""
    parser = argparse.ArgumentParser(description="peak memory of a worker")
    parser.add_argument("--few", type=int, default=10_000, help=f"trajectories, in {SHARD_ROWS}s (default 10000)")
    parser.add_argument("--many", type=int, default=100_000, help=f"trajectories, in {SHARD_ROWS}s (default 100000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headstart-memory-") as folder:
        print(json.dumps(measure(options.few, options.many, Path(folder))))


if __name__ == "__main__":
    main()
