"""Seconds per training step of dp_c and dp_mlp, normal and decoupled: what freezing the backbone saves.

    python -m benchmarks.heads [--rounds N] [--threads N] [--compile on|off] [--no-images] [--device NAME]

Each contender is the trainer's own loop: batch 64, AdamW, gradient clipping, moving average, bf16 where the hardware
computes in it, torch.compile. dp_c is the paper's, 255,612,042 weights with FiLM; dp_mlp has the paper's size and
AdaLN-Zero. Both see low-dimensional observations, no images. The modes of a head differ in nothing but what is frozen.
The contenders take turns; figures are medians over the rounds. `_cpu_` figures are this process's CPU time over all its
threads, which other work on the machine disturbs less. `_images_` figures are of a second pass, in which both also see
two cameras' crops of 76 x 76 at two steps, through the ResNet-18s that every mode trains; `_features_` figures of a
third, in which these networks are frozen, so that both see what they made of the pictures once (`adapt --vision`).
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks._device import add_device
from trainer.config import HeadConfig, Mode, Switch, TrainingConfig
from trainer.data.action import POSE_DIM
from trainer.data.batch_source import Batch
from trainer.device import finish
from trainer.model.action_head import ActionHead
from trainer.model.backbones import build_backbone
from trainer.model.conditioning import stage2_conditioning
from trainer.model.vision import PICTURE_FEATURES
from trainer.progress import silent
from trainer.recipe.machine import describe_machine
from trainer.training.loop import TrainingLoop
from trainer.training.run_folder import RunFolder

OBS_DIM, CAMERAS, CROP = 40, 2, 76
SEEN = {"": (OBS_DIM, 0), "_images": (OBS_DIM, CAMERAS), "_features": (OBS_DIM + CAMERAS * PICTURE_FEATURES, 0)}
"""Of each pass, by what its figures' names have: numbers in an observation step, and cameras whose networks train."""
HEADS = {
    "dp_c": HeadConfig(head="dp_c", size="paper", conditioning="film", paper_film=True),
    "dp_mlp": HeadConfig(head="dp_mlp", size="paper", conditioning="adaln_zero"),
}
MODES: tuple[Mode, ...] = ("normal", "decoupled")
TURN_SECONDS = 3.0
"""A turn goes on until it has taken so long, one step at least."""


class Windows:
    """A BatchSource of one batch."""

    def __init__(self, batch_size: int, head: HeadConfig, obs_dim: int, cameras: int, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(0)
        actions = 2 * torch.rand(batch_size, head.horizon, POSE_DIM, generator=generator) - 1
        condition = torch.randn(batch_size, head.n_obs_steps * obs_dim, generator=generator)
        shape = (batch_size, head.n_obs_steps, CROP, CROP, 3)
        pictures = [torch.randint(256, shape, generator=generator).to(torch.uint8) for _ in range(cameras)]
        self.batch = Batch(actions.to(device), condition.to(device), tuple(seen.to(device) for seen in pictures))

    def next(self, tell: Callable[[str], None]) -> Batch:
        """The batch."""
        return self.batch

    def validation(self) -> Batch | None:
        """None."""
        return None

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing."""


@dataclass
class Contender:
    """A head in a mode; `turn` makes some steps of its training."""

    name: str
    loop: TrainingLoop
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def turn(self) -> None:
        """At least one step."""
        batch, end = self.loop.source.next(lambda text: None), time.perf_counter() + TURN_SECONDS
        while True:
            wall, cpu = time.perf_counter(), time.process_time()
            self.loop.gradient_step(batch)
            finish(self.loop.device)
            self.wall.append(time.perf_counter() - wall)
            self.cpu.append(time.process_time() - cpu)
            if time.perf_counter() > end:
                return

    def forget(self) -> None:
        """What was measured so far, compiling included."""
        self.wall.clear()
        self.cpu.clear()


def contender(head: HeadConfig, mode: Mode, suffix: str, training: TrainingConfig, folder: Path) -> Contender:
    """A training that has made no step."""
    torch.manual_seed(0)
    name, (obs_dim, cameras) = f"{head.head}_{mode}{suffix}", SEEN[suffix]
    backbone = build_backbone(head, POSE_DIM)
    conditioning = stage2_conditioning(head, backbone, obs_dim, None, cameras)
    action_head = ActionHead(backbone, conditioning, head.prediction_type)
    action_head.freeze(mode)
    device = torch.device(training.device)
    action_head.train().to(device)
    source, run = Windows(training.batch_size, head, obs_dim, cameras, device), RunFolder(folder / name)
    return Contender(name, TrainingLoop(action_head, source, training, run, silent))


def measured(suffix: str, rounds: int, training: TrainingConfig) -> list[Contender]:
    """Every head in every mode, in turns."""
    with tempfile.TemporaryDirectory(prefix="headstart-bench-") as folder:
        contenders = [
            contender(head, mode, suffix, training, Path(folder)) for head in HEADS.values() for mode in MODES
        ]
        for made in contenders:
            began = time.perf_counter()
            made.turn()
            made.forget()
            weights = sum(value.numel() for value in made.loop.weights.values())
            seconds = time.perf_counter() - began
            print(f"{made.name}: {weights:,} weights trained, first steps after {seconds:.0f} s", flush=True)
        for index in range(rounds):
            for made in contenders:
                made.turn()
            last = ", ".join(f"{made.name} {statistics.median(made.wall):.3f}" for made in contenders)
            print(f"round {index + 1}: medians so far [s/step] {last}", flush=True)
    return contenders


def figures_of(contenders: list[Contender]) -> dict[str, float]:
    """Medians [s/step] by wall clock and by CPU time."""
    figures = {f"{made.name}_s_per_step": statistics.median(made.wall) for made in contenders}
    figures |= {f"{made.name}_cpu_s_per_step": statistics.median(made.cpu) for made in contenders}
    return {name: round(value, 4) for name, value in figures.items()}


def ratios(figures: dict[str, float], suffix: str = "") -> dict[str, float]:
    """How the modes and the heads compare, by wall clock."""
    normal_c, decoupled_c = (figures[f"dp_c_{mode}{suffix}_s_per_step"] for mode in MODES)
    normal_mlp, decoupled_mlp = (figures[f"dp_mlp_{mode}{suffix}_s_per_step"] for mode in MODES)
    found = {
        f"dp_c_normal_over_decoupled{suffix}": normal_c / decoupled_c,
        f"dp_mlp_decoupled_over_normal{suffix}": decoupled_mlp / normal_mlp,
        f"dp_mlp_normal_less_time_than_dp_c{suffix}": 1 - normal_mlp / normal_c,
        f"dp_mlp_decoupled_less_time_than_dp_c{suffix}": 1 - decoupled_mlp / decoupled_c,
    }
    return {name: round(value, 4) for name, value in found.items()}


def main() -> None:
    """Runs them in turns and prints one JSON object on the last line."""
    parser = argparse.ArgumentParser(description="seconds per training step of heads and modes, side by side")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default 5)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all cores")
    parser.add_argument("--compile", choices=["on", "off"], default="on", help="torch.compile, for all (default on)")
    parser.add_argument("--no-images", action="store_true", help="leave out the passes with cameras")
    add_device(parser)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    switch: Switch = options.compile
    training = TrainingConfig(
        steps=100_000, batch_size=64, learning_rate=1e-4, compile=switch, threads=options.threads,
        device=str(options.device),
    )  # fmt: skip
    print(f"{describe_machine()}, {options.threads} threads, on {options.device}", flush=True)
    figures: dict[str, float] = {}
    for suffix in [""] if options.no_images else SEEN:
        found = figures_of(measured(suffix, options.rounds, training))
        figures |= found | ratios(found, suffix)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
