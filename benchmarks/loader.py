"""How fast Stage 1 gets its windows: decoding shards, and drawing shuffled batches from what is decoded.

    python -m benchmarks.loader [--data DIR] [--seconds N]

Without --data it makes 16,384 trajectories, in four shards. Decoding is everything from the shard's file to arrays that
windows are copied from: hash, Parquet, normalization; counted in bytes of the float32 columns that are read (joints,
pose, gripper). Drawing is the trainer's own stream: the functional order, windows of 16 steps of poses with the joints
of the same steps as their condition, batches of 256. One core. `_cpu_` figures are of this process's CPU time, which
other work on the machine disturbs less.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from services.jobs import begin
from services.synthesis.pipeline import ShardPlan, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from trainer.config import PretrainConfig, TrainingConfig
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories.stream import TrajectoryStream, stage1_stream
from trainer.recipe.machine import describe_machine
from trainer.recipe.presets import quick, trajectory_request

BATCH = 256


def make_dataset(folder: Path, shards: int = 4) -> Dataset:
    """The recipe's trajectories, in shards of 4096."""
    body = trajectory_request(quick()) | {"count": 4096 * shards, "shard_rows": 4096}
    request = TrajectoryRequest.parse(body)
    dataset = begin(request, folder)
    for index in range(shards):
        made = synthesize(ShardPlan(request, index, 4096 * index, 4096))
        dataset.publish(index, made.table, made.attempts, made.rejections)
    dataset.set_state("sealed")
    return dataset


def decoding(dataset: Dataset, folder: Path, seconds: float) -> dict[str, float]:
    """Raw floats [MB/s]: the median of shards, over several passes into folders of their own."""
    dof, rates = dataset.header.robot.dof, []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        with tempfile.TemporaryDirectory(dir=folder) as empty:
            cache = _stream(dataset, Path(empty)).cache
            commits = dataset.commits()
            cache.wait(len(commits), lambda text: None)
            for commit in commits:
                megabytes = commit.samples * (dof + 10) * 4 / 1e6
                rates.append([megabytes / taken for taken in _timed(partial(cache.shard, commit.index))])
    wall, cpu = _medians(rates[1:])
    return {"decoded_mb_per_s": wall, "decoded_mb_per_cpu_s": cpu, "decoded_best_mb_per_s": max(r[0] for r in rates)}


def drawing(dataset: Dataset, folder: Path, seconds: float) -> dict[str, float]:
    """Windows a second: the median of half-second stretches, over several passes."""
    stream, rates = _stream(dataset, folder), []
    end = time.perf_counter() + seconds

    def draw() -> None:
        for _ in range(100):
            stream.next(lambda text: None)

    draw()
    while time.perf_counter() < end:
        rates.append([100 * BATCH / taken for taken in _timed(draw)])
    wall, cpu = _medians(rates)
    return {"windows_per_s": wall, "windows_per_cpu_s": cpu, "best_windows_per_s": max(rate[0] for rate in rates)}


def _stream(dataset: Dataset, folder: Path) -> TrajectoryStream:
    config = PretrainConfig(training=TrainingConfig(batch_size=BATCH))
    normalizer = ActionNormalizer(dataset.header.action_range)
    return stage1_stream(dataset, folder, normalizer, config, torch.device("cpu"), ahead=False)


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the wall clock and of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _medians(rates: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Of the first and the second of each."""
    wall, cpu = (statistics.median(kind) for kind in zip(*rates, strict=True))
    return wall, cpu


def main() -> None:
    """Measures, and prints one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="a finished dataset; left out, one is made")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each (default 10)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{describe_machine()}, one thread", flush=True)
    with tempfile.TemporaryDirectory(prefix="headstart-bench-") as temporary:
        folder = Path(temporary)
        dataset = Dataset(options.data) if options.data else make_dataset(folder / "dataset")
        figures = decoding(dataset, folder, options.seconds)
        figures |= drawing(dataset, folder / "decoded", options.seconds)
    print(json.dumps({name: round(value) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
