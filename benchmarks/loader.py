"""How fast Stage 1 gets its windows: decoding shards, and drawing shuffled batches from what is decoded.

    python -m benchmarks.loader [--data DIR] [--seconds N] [--device NAME]

Without --data it makes 16,384 trajectories, in eight shards, and for the comparison 200, 2,000 and 20,000. Decoding is
everything from the shard's file to arrays that windows are copied from: hash, Parquet, normalization; counted in bytes
of the float32 columns that are read (joints, pose, gripper). Drawing is the trainer's own stream: the functional order,
windows of 16 steps of poses with the joints of the same steps as their condition, batches of 256. One core. `_cpu_`
figures are of this process's CPU time, which other work on the machine disturbs less. `dataloader_` figures are of the
same batches through PyTorch's DataLoader, without workers, on the CPU whatever the device.

Beside it, in turns, a plain gather: all steps in memory, for each pass a random permutation of the rows and a random
start in each, the same batches copied by the same call. It neither resumes nor grows, and holds nothing out.
`_of_plain` is our rate by its, both by CPU time; `files` is the largest as if it were too large to be held in memory.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks._device import add_device
from services.jobs import begin
from services.synthesis.pipeline import ShardPlan, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from trainer.config import PretrainConfig, TrainingConfig
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories.dataset_batches import dataset_batches
from trainer.data.trajectories.decoded_shard import joined, windows
from trainer.data.trajectories.trajectory_batches import TrajectoryBatches
from trainer.data.trajectories.window_dataset import WindowDataset
from trainer.device import finish
from trainer.recipe.machine import describe_machine
from trainer.recipe.presets import quick, trajectory_request

BATCH = 256
CONFIG = PretrainConfig(training=TrainingConfig(batch_size=BATCH))
_DRAWS = 1024
"""Batches in a measurement, so that each holds several of the times when places of windows are found."""
SHARD_ROWS = 2048
COMPARED = 200, 2_000, 20_000
"""Rows of the datasets that are drawn from beside a plain gather."""
TURNS = 10
"""Of each, after one that is not counted."""


def make_dataset(folder: Path, shards: int = 8, rows: int | None = None) -> Dataset:
    """The recipe's trajectories, in shards of 2048."""
    rows = rows or SHARD_ROWS * shards
    request = TrajectoryRequest.parse(trajectory_request(quick()) | {"count": rows, "shard_rows": SHARD_ROWS})
    dataset = begin(request, folder)
    for index in range(dataset.header.shards):
        plan = ShardPlan(request, index, SHARD_ROWS * index, dataset.header.rows_in(index))
        made = synthesize(plan)
        dataset.publish(index, made.table, made.attempts, made.rejections)
    dataset.set_state("sealed")
    return dataset


def decoding(dataset: Dataset, folder: Path, seconds: float, device: torch.device) -> dict[str, float]:
    """Raw floats [MB/s]: the median of shards, over several passes into folders of their own."""
    dof, rates = dataset.header.robot.dof, []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        with tempfile.TemporaryDirectory(dir=folder) as empty:
            cache = _stream(dataset, Path(empty), device).cache
            commits = dataset.commits()
            cache.wait(len(commits), lambda text: None)
            for commit in commits:
                megabytes = commit.samples * (dof + 10) * 4 / 1e6
                rates.append([megabytes / taken for taken in _timed(partial(cache.shard, commit.index), device)])
    wall, cpu = _medians(rates[1:])
    return {"decoded_mb_per_s": wall, "decoded_mb_per_cpu_s": cpu, "decoded_best_mb_per_s": max(r[0] for r in rates)}


def drawing(next_batch: Callable[[], object], seconds: float, device: torch.device) -> dict[str, float]:
    """Windows a second: the median of stretches of many batches, over several passes."""
    rates = []

    def draw() -> None:
        for _ in range(_DRAWS):
            next_batch()

    draw()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        rates.append([_DRAWS * BATCH / taken for taken in _timed(draw, device)])
    wall, cpu = _medians(rates)
    return {"windows_per_s": wall, "windows_per_cpu_s": cpu, "best_windows_per_s": max(rate[0] for rate in rates)}


def beside_plain(dataset: Dataset, folder: Path, seconds: float, device: torch.device) -> dict[str, float]:
    """Windows a second of CPU time, ours and of a plain gather, in turns; the median of their ratios."""
    stream = _stream(dataset, folder, device)
    sources = {"stream": iter(partial(stream.next, lambda text: None), None), "plain": plain_batches(stream, dataset)}
    rates: dict[str, list[float]] = {name: [] for name in sources}
    for turn in range(TURNS + 1):
        for name, source in sources.items():
            drawn, start = 0, time.process_time()
            while time.process_time() - start < seconds / TURNS / 2:
                for _ in range(BATCH):
                    next(source)
                finish(device)
                drawn += BATCH * BATCH
            # Before the first turn, shards are decoded, and what is known at the first use is made.
            if turn > 0:
                rates[name].append(drawn / (time.process_time() - start))
    ratios = [ours / plain for ours, plain in zip(rates["stream"], rates["plain"], strict=True)]
    return {"windows_per_cpu_s": statistics.median(rates["stream"]),
            "plain_per_cpu_s": statistics.median(rates["plain"]), "of_plain": statistics.median(ratios)}  # fmt: skip


def plain_batches(stream: TrajectoryBatches, dataset: Dataset) -> Iterator[tuple[Tensor, Tensor]]:
    """Actions and conditions of the same windows in a random order, from memory."""
    stream.cache.wait(dataset.header.shards, lambda text: None)
    whole = joined([stream.cache.shard(index) for index in range(dataset.header.shards)])
    head = PretrainConfig().head
    assert whole.condition is not None
    device = whole.actions.device
    first, length = torch.from_numpy(whole.first).to(device), torch.from_numpy(whole.length).to(device)
    lowest = first - (head.n_obs_steps - 1)
    starts = (length - head.horizon + head.n_action_steps - 1).clamp(min=1 - head.n_obs_steps) + head.n_obs_steps
    random, left = torch.Generator(device).manual_seed(0), first[:0]
    while True:
        while len(left) < BATCH:
            rows = torch.randperm(len(first), generator=random, device=device)
            drawn = lowest[rows] + (torch.rand(len(rows), generator=random, device=device) * starts[rows]).long()
            left = torch.cat([left, drawn])
        batch, left = left[:BATCH], left[BATCH:]
        yield windows(whole.actions, batch, head.horizon), windows(whole.condition, batch, head.horizon).flatten(1)


def compared(folder: Path, seconds: float, device: torch.device) -> dict[str, float]:
    """Of each size, and of the last also as if it were too large to be held in memory."""
    figures: dict[str, float] = {}
    for rows in COMPARED:
        dataset = make_dataset(folder / str(rows), rows=rows)
        figures |= {
            f"{rows}_{name}": value
            for name, value in beside_plain(dataset, folder / f"of-{rows}", seconds, device).items()
        }
    with mock.patch("trainer.data.trajectories.shard_cache.IN_MEMORY", 0):
        from_files = beside_plain(dataset, folder / f"of-{rows}", seconds, device)
    return figures | {f"{rows}_files_{name}": value for name, value in from_files.items() if name != "plain_per_cpu_s"}


def _stream(dataset: Dataset, folder: Path, device: torch.device) -> TrajectoryBatches:
    normalizer = ActionNormalizer(dataset.header.action_range)
    return dataset_batches(dataset, folder, normalizer, CONFIG, device, ahead=False)


def _timed(work: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Seconds by the wall clock and of CPU time, until the device has done it."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    finish(device)
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
    add_device(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{describe_machine()}, one thread, on {options.device}", flush=True)
    with tempfile.TemporaryDirectory(prefix="headstart-bench-") as temporary:
        folder = Path(temporary)
        dataset = Dataset(options.data) if options.data else make_dataset(folder / "dataset")
        figures = decoding(dataset, folder, options.seconds, options.device)
        stream = _stream(dataset, folder / "decoded", options.device)
        figures |= drawing(partial(stream.next, lambda text: None), options.seconds, options.device)
        loader = iter(DataLoader(WindowDataset(dataset.where, folder / "cache", CONFIG), batch_size=None))
        through_loader = drawing(partial(next, loader), options.seconds, options.device)
        figures |= {f"dataloader_{name}": value for name, value in through_loader.items()}
        if not options.data:
            figures |= compared(folder, options.seconds, options.device)
    print(json.dumps({name: round(value, 2 if name.endswith("of_plain") else None) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
