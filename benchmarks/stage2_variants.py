"""Trains variants of Stage 2 on the same demonstrations and copies, and measures which of them fit the copies.

    python -m benchmarks.stage2_variants --demos DEMOS --copies DATA --stage1 RUN
        [--more NAME=RUN] [--steps 600] [--name stack_three]

What is frozen in `decoupled` is trained part by part, and its learning rate, steps and Stage 1 are changed one at a
time (VARIANTS). All see the same batches in the same order, are measured on the same other windows with the same noise,
and are written to docs/results/behind/NAME.json one by one; those that are there already are left. Copies are so many
that a short training comes to few of their windows: the loss on them says how well a variant fits, not what it
remembers. docs/behind.py makes the table of the kept files.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from docs.behind import KEPT, LEVELS
from trainer.config import AdaptConfig, Mode, TrainingConfig
from trainer.data.action import GRIPPER
from trainer.data.batch_source import Batch
from trainer.data.copies.opening import open_copies
from trainer.data.demonstrations import read_demonstrations
from trainer.data.motion_basis import MotionBasis
from trainer.data.normalization import ActionNormalizer
from trainer.device import autocast
from trainer.model.action_head import ActionHead
from trainer.model.diffusion import forward_process
from trainer.model.modes import MODES
from trainer.model.sampler import Sampler
from trainer.recipe.machine import describe_machine
from trainer.stages.adaptation import Adaptation
from trainer.stages.batches_with_copies import BatchesWithCopies, batch_parts
from trainer.stages.pretrain import fresh_head
from trainer.stages.pretrained import Stage1
from trainer.training.backbone_files import load_backbone
from trainer.training.checkpoint import build_head
from trainer.training.gradient_steps import GradientSteps
from trainer.training.ranks import ALONE

_WINDOWS, _SEED, _CURVE = 512, 7, 200
_EARLIEST, _LATEST = 2, 9
"""Steps of a window at which the gripper's command may change for the window to count: those that are executed."""
_CPU = torch.device("cpu")
Row = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """One training.

    Attributes:
        name: in the table.
        mode: of Stage 2.
        parts: of the backbone that are trained although the mode freezes them.
        rate: times the learning rate.
        longer: times the steps.
        stage1: which Stage 1 it begins with: "" is --stage1, else a name of --more.
    """

    name: str
    mode: Mode = "decoupled"
    parts: tuple[str, ...] = ()
    rate: float = 1.0
    longer: int = 1
    stage1: str = ""


VARIANTS = (
    Variant("normal", "normal"),
    Variant("decoupled"),
    Variant("pretrained_body", "pretrained_body"),
    Variant("decoupled, rate x 3", rate=3),
    Variant("normal, rate x 3", "normal", rate=3),
    Variant("decoupled, blocks trained", parts=("blocks",)),
    Variant("finetune", "finetune"),
    Variant("decoupled, Stage 1 went on with copies", stage1="copies"),
    Variant("decoupled, twice the steps", longer=2),
)


class Batches:
    """Batches that every variant is given, made once, and windows to measure on that come after all of them."""

    def __init__(self, source: BatchesWithCopies, steps: int, own: int) -> None:
        """So many batches, each with so many windows of demonstrations before those of copies."""
        self.training = [source.next(lambda text: None) for _ in range(steps)]
        size = len(self.training[0].actions) - own
        later = [source.next(lambda text: None) for _ in range(-(-_WINDOWS // size))]
        copied = Batch(
            torch.cat([one.actions[own:] for one in later]), torch.cat([one.condition[own:] for one in later])
        )
        held_out = source.validation()
        assert held_out is not None
        self.measured = {"copies": copied, "held_out": held_out}


def trained(variant: Variant, task: Adaptation, batches: Batches, training: TrainingConfig) -> Row:
    """One variant, trained and measured."""
    training = replace(
        training, steps=variant.longer * training.steps, learning_rate=variant.rate * training.learning_rate
    )
    head = _begun(replace(task, config=replace(task.config, mode=variant.mode)), variant)
    gradient = GradientSteps(head, training, ALONE)
    gradient.prepare(0, ALONE.share(batches.training[0]), lambda text: None)
    head.train()
    seconds, curve = 0.0, {}
    for step in range(training.steps):
        # Of this thread, on the CPU: other work on the machine must not count.
        began = time.thread_time()
        gradient(step, ALONE.share(batches.training[step]))
        seconds += time.thread_time() - began
        if (step + 1) % _CURVE == 0 and step + 1 < training.steps:
            curve[step + 1] = _measured(head, gradient, lambda: losses(head, batches.measured["copies"]))["all"]
    basis, normalizer = task.known_basis, task.normalizer
    measured = _measured(
        head,
        gradient,
        lambda: {
            name: losses(head, one) | errors(head, one, normalizer, basis) for name, one in batches.measured.items()
        },
    )
    return {
        "variant": variant.name,
        "mode": variant.mode,
        "steps": training.steps,
        "batch_size": training.batch_size,
        "learning_rate": training.learning_rate,
        "trained_parameters": sum(weight.numel() for weight in gradient.weights.values()),
        "train_seconds": seconds,
        "curve": curve,
        **measured,
    }


def _begun(task: Adaptation, variant: Variant) -> ActionHead:
    """The head as `adapt` begins it, with more of it trained."""
    used = task.used
    head = fresh_head(task.config.training.seed, lambda: build_head(task.info(_CPU), used.kept if used else None))
    if used is not None:
        assert used.info.backbone is not None
        load_backbone(head.backbone, used.backbone, used.info.backbone)
    elif MODES[variant.mode].freezes:
        head.conditioning.open_gates(head.backbone)
    head.freeze(variant.mode)
    for name in variant.parts:
        getattr(head.backbone, name).requires_grad_(True)
    return head


def _measured(head: ActionHead, gradient: GradientSteps, measure: Callable[[], Row]) -> Row:
    """What is measured of the averaged weights."""
    head.eval()
    try:
        with gradient.average.applied():
            return measure()
    finally:
        head.train()


@torch.inference_mode()
def losses(head: ActionHead, windows: Batch) -> Row:
    """The training loss at each level of noise, and over all timesteps."""
    process, generator = forward_process(head.prediction_type, _CPU), torch.Generator().manual_seed(_SEED)
    found: Row = {}
    for name, level in LEVELS.items():
        timesteps = torch.randint(level.start, level.stop, (len(windows.actions),), generator=generator)
        noise = torch.randn(windows.actions.shape, generator=generator)
        noisy = process.add_noise(windows.actions, noise, timesteps)
        with autocast(_CPU, "auto"):
            predicted = head(noisy, timesteps, windows.condition)
        target: Tensor = process.target(windows.actions, noise, timesteps)
        found[name] = float(torch.nn.functional.mse_loss(predicted.float(), target))
    steps = sum(map(len, LEVELS.values()))
    return {**found, "all": sum(found[name] * len(level) / steps for name, level in LEVELS.items())}


@torch.inference_mode()
def errors(head: ActionHead, windows: Batch, normalizer: ActionNormalizer, basis: MotionBasis | None) -> Row:
    """Mean distance of predicted positions [mm], and in the plane at the step where the gripper closes or opens.

    When an object is taken or left, where the tool is does not depend on how fast the demonstrator was.
    """
    noise = torch.randn(windows.actions.shape, generator=torch.Generator().manual_seed(_SEED))
    ours = normalizer.denormalize(Sampler(head, "auto", basis=basis)(windows.condition, noise).numpy())
    theirs = normalizer.denormalize(windows.actions.numpy())
    rows, at = _changes(theirs[..., GRIPPER])
    off = 1e3 * (ours - theirs)[rows, at, :2]
    plane = np.linalg.norm(off, axis=-1)
    return {
        "position_mm": 1e3 * float(np.linalg.norm((ours - theirs)[..., :3], axis=-1).mean()),
        "gripper_windows": len(rows),
        "gripper_plane_mm": float(plane.mean()),
        "gripper_plane_p90_mm": float(np.quantile(plane, 0.9)),
    }


def _changes(gripper: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of gripper commands (windows, steps): windows where they change while they are executed, and the step of that."""
    changed = np.diff(np.sign(gripper), axis=1) != 0
    at = np.argmax(changed, axis=1)
    rows = np.flatnonzero(changed.any(axis=1) & (at >= _EARLIEST) & (at <= _LATEST))
    return rows, at[rows]


def main() -> None:
    """Trains the variants that are not kept yet, those whose Stage 1 is given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--demos", type=Path, required=True, help="of which 25 are drawn by seed 0, as by the recipe")
    parser.add_argument("--copies", required=True, help="dataset of copies of these")
    parser.add_argument("--stage1", type=Path, required=True)
    parser.add_argument("--more", action="append", default=[], help="NAME=RUN of another Stage 1")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--name", default="stack_three")
    options = parser.parse_args()
    torch.set_num_threads(1)
    stage1 = {"": options.stage1, **{name: Path(run) for name, run in (one.split("=", 1) for one in options.more)}}
    training = TrainingConfig(steps=options.steps, batch_size=options.batch_size, compile="off", device="cpu")
    config = AdaptConfig(training=training, observation_noise=0.02, copies_share=0.75, validation_windows=_WINDOWS)
    demonstrations = read_demonstrations(options.demos, 25, draw=0)
    tasks = {
        name: Adaptation.checked(demonstrations, config, Stage1.load(run, None), None, None, None)
        for name, run in stage1.items()
    }
    path = KEPT / f"{options.name}.json"
    missing = [one for one in VARIANTS if one.stage1 in stage1 and one.name not in {r["variant"] for r in _rows(path)}]
    # Of all, not of those that are missing: what is measured comes after as many batches in every start.
    longest = options.steps * max(one.longer for one in VARIANTS)
    with tempfile.TemporaryDirectory() as decoded:
        source = tasks[""].with_copies(open_copies(options.copies, Path(decoded)), frozenset(), Path(decoded), _CPU)
        batches = Batches(source, longest, batch_parts(config)[0])
    command = f"python -m benchmarks.stage2_variants --demos DEMOS --copies DATA --stage1 RUN --steps {options.steps}"
    for variant in missing:
        row = trained(variant, tasks[variant.stage1], batches, training)
        print(json.dumps(row), flush=True)
        content = {"command": command, "machine": describe_machine(), "rows": [*_rows(path), row]}
        KEPT.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n")


def _rows(path: Path) -> Sequence[Row]:
    return json.loads(path.read_text())["rows"] if path.exists() else []


if __name__ == "__main__":
    main()
