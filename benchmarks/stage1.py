"""Stage 1's windows a second: our loop beside the same network in a plain one, dp_mlp in batches of 256.

    python -m benchmarks.stage1 [--data DIR] [--size paper|small] [--rounds N] [--threads N] [--no-compile]
                                [--device NAME]

The plain loop is what one writes first: float32, torch.optim.AdamW as it comes, a moving average by a loop over the
weights, gradient clipping, a DataLoader with one worker over windows that lie decoded in memory, the loss read at every
step. Ours is the trainer's: bf16 where the hardware computes in it, fused AdamW, the average in one call, windows from
the decoded cache, torch.compile. They take turns in one process; figures are medians over the turns, the first of each
not counted. `_cpu_` figures are by this process's CPU time, the DataLoader's worker not counted. `ours_data_wait` is
the share of our steps' time spent on batches.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from benchmarks._device import add_device
from benchmarks.loader import make_dataset
from shared.dataset import Dataset
from shared.order import WindowSpan
from shared.records import list_column
from trainer.config import DIFFUSION_STEPS, HeadConfig, PretrainConfig, SizeName, Switch, TrainingConfig
from trainer.data.action import POSE_DIM, join_action
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories.dataset_batches import dataset_batches
from trainer.data.trajectories.stage1_steps import Stage1Steps
from trainer.device import finish
from trainer.model.action_head import ActionHead
from trainer.model.backbones import build_backbone
from trainer.model.conditioning import stage1_conditioning
from trainer.model.diffusion import Diffusion
from trainer.progress import silent
from trainer.recipe.machine import describe_machine
from trainer.training.loop import TrainingLoop
from trainer.training.run_folder import RunFolder

BATCH = 256
TURN_SECONDS = 5.0


class Windows(TorchDataset[tuple[Tensor, Tensor]]):
    """One random window of a trajectory for each item, out of arrays in memory."""

    def __init__(self, dataset: Dataset, config: PretrainConfig, normalizer: ActionNormalizer) -> None:
        steps = Stage1Steps(config, normalizer, dataset.header.robot.dof)
        self._span = WindowSpan(config.head.horizon, config.head.n_obs_steps - 1, config.head.n_action_steps - 1)
        self._rows: list[tuple[Tensor, Tensor]] = []
        for commit in dataset.commits():
            table = dataset.read_shard(commit)
            gripper, offsets = list_column(table, "gripper")
            position, rotation, joints = (
                list_column(table, name)[0].reshape(len(gripper), -1)
                for name in ("ee_position", "ee_rotation_6d", "joint_position")
            )
            actions, condition = steps(joints, join_action(position, rotation, gripper))
            assert condition is not None
            both = torch.from_numpy(actions), torch.from_numpy(condition)
            cuts = np.diff(offsets).tolist()
            self._rows += zip(*(torch.split(values, cuts) for values in both), strict=True)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        actions, condition = self._rows[index]
        first, last = self._span.bounds(np.array([len(actions)]))
        start = int(torch.randint(int(first[0]), int(last[0]) + 1, ()))
        inside = torch.arange(start, start + self._span.horizon).clamp(0, len(actions) - 1)
        return actions[inside], condition[inside].flatten()


class PlainLoop:
    """A gradient step as one writes it first."""

    def __init__(self, head: ActionHead, windows: Windows, config: TrainingConfig) -> None:
        self._device = torch.device(config.device)
        self._head, self._config, self._diffusion = head, config, Diffusion("epsilon", self._device)
        self._optimizer = torch.optim.AdamW(
            head.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self._average = [weight.detach().clone() for weight in head.parameters()]
        self._loader = DataLoader(windows, BATCH, shuffle=True, num_workers=1, drop_last=True, persistent_workers=True)
        self._batches = self._endless()

    def _endless(self) -> Iterator[list[Tensor]]:
        while True:
            yield from self._loader

    def step(self) -> None:
        """One."""
        actions, condition = (values.to(self._device) for values in next(self._batches))
        noise = torch.randn_like(actions)
        timesteps = torch.randint(DIFFUSION_STEPS, (len(actions),), device=self._device)
        predicted = self._head(self._diffusion.add_noise(actions, noise, timesteps), timesteps, condition)
        loss = F.mse_loss(predicted, noise)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._head.parameters(), self._config.clip_norm)
        self._optimizer.step()
        with torch.no_grad():
            for average, weight in zip(self._average, self._head.parameters(), strict=True):
                average.mul_(0.999).add_(weight, alpha=0.001)
        loss.item()


class OurLoop:
    """The trainer's."""

    def __init__(self, loop: TrainingLoop) -> None:
        self._loop = loop
        self.fetching = self.total = 0.0

    def step(self) -> None:
        """One."""
        began = time.perf_counter()
        batch = self._loop.source.next(lambda text: None)
        fetched = time.perf_counter()
        self._loop.gradient_step(batch)
        self._loop.step += 1
        self.fetching += fetched - began
        self.total += time.perf_counter() - began


def fresh_head(head: HeadConfig, condition_dim: int) -> ActionHead:
    """With the same weights every time."""
    torch.manual_seed(0)
    backbone = build_backbone(head, POSE_DIM)
    return ActionHead(backbone, stage1_conditioning(head, backbone, condition_dim, head.horizon)).train()


def turn(step: Callable[[], None], device: torch.device) -> tuple[float, float]:
    """Windows a second over some seconds, by the wall clock and by CPU time, once the device has done them."""
    wall, cpu, windows = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() < wall + TURN_SECONDS:
        step()
        windows += BATCH
    finish(device)
    return windows / (time.perf_counter() - wall), windows / (time.process_time() - cpu)


def measured(dataset: Dataset, folder: Path, config: PretrainConfig, rounds: int) -> dict[str, float]:
    """Both, in turns."""
    normalizer = ActionNormalizer(dataset.header.action_range)
    device = torch.device(config.training.device)
    stream = dataset_batches(dataset, folder / "decoded", normalizer, config, device)
    heads = [fresh_head(config.head, stream.condition_dim).to(device) for _ in range(2)]
    ours = OurLoop(TrainingLoop(heads[0], stream, config.training, RunFolder(folder), silent))
    plain = PlainLoop(heads[1], Windows(dataset, config, normalizer), config.training)
    steps = {"ours": ours.step, "plain": plain.step}
    for step in steps.values():
        turn(step, device)
    ours.fetching = ours.total = 0.0
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for index in range(rounds):
        for name, step in steps.items():
            rates[name].append(turn(step, device))
        said = ", ".join(f"{name} {rate[-1][0]:.0f}" for name, rate in rates.items())
        print(f"round {index + 1}: windows/s {said}", flush=True)
    figures: dict[str, float] = {}
    for kind, clock in enumerate(("", "_cpu")):
        own, other = ([rate[kind] for rate in rates[name]] for name in ("ours", "plain"))
        figures[f"ours_windows_per{clock}_s"] = round(statistics.median(own), 1)
        figures[f"plain_windows_per{clock}_s"] = round(statistics.median(other), 1)
        ratio = statistics.median(a / b for a, b in zip(own, other, strict=True))
        figures[f"ours_over_plain{clock}"] = round(ratio, 3)
    return figures | {"ours_data_wait": round(ours.fetching / ours.total, 5)}


def main() -> None:
    """Measures, and prints one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="a finished dataset; left out, one is made")
    parser.add_argument("--size", choices=["paper", "small"], default="paper", help="of dp_mlp (default paper)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default 5)")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU, for each loop (default 1)")
    parser.add_argument("--no-compile", action="store_true", help="ours without torch.compile")
    add_device(parser)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{describe_machine()}, {options.threads} threads, on {options.device}", flush=True)
    size: SizeName = options.size
    switch: Switch = "off" if options.no_compile else "on"
    training = TrainingConfig(
        steps=100_000, batch_size=BATCH, learning_rate=1e-4, compile=switch, threads=options.threads,
        device=str(options.device),
    )  # fmt: skip
    config = PretrainConfig(head=HeadConfig(size=size), training=training)
    with tempfile.TemporaryDirectory(prefix="headstart-bench-") as temporary:
        folder = Path(temporary)
        dataset = Dataset(options.data) if options.data else make_dataset(folder / "dataset")
        figures = measured(dataset, folder, config, options.rounds)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
