"""Losses of the first steps of every head in Stage 1 and in every mode of Stage 2, kept in files.

    python -m tests.golden_losses

writes them anew into tests/data/golden_losses, one file for each head and mode; test_golden_losses.py compares. Who
changes a number that training computes commits the files that change, and says why.

Everything is small, in float32 on one thread of the CPU, from the data of tests/trainer/example.py. The runs are whole
ones, with their streams, normalization and checkpoints in between.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from tests.pages import ROOT
from tests.trainer.example import HEADS, make_dataset, make_demonstrations, training
from trainer.config import AdaptConfig, HeadName, Mode, PretrainConfig, TrainingConfig
from trainer.data.action import ActionRange
from trainer.json_lines import read_lines
from trainer.stages.adapt import adapt
from trainer.stages.pretrain import pretrain

FOLDER = ROOT / "tests" / "data" / "golden_losses"
STEPS = 20
TRAINING = training(STEPS, log_every=1, warmup_steps=5, threads=1)
RANGE: ActionRange = {
    "position": {"min": [-2.0] * 3, "max": [2.0] * 3},
    "joint_position": {"min": [-3.0] * 2, "max": [3.0] * 2},
}
CONDITIONINGS = {"dp_mlp": "adaln_zero", "dp_c": "adaln_zero", "dp_t": "adaln_zero", "dp_t_film": "film"}
"""Of each head, the default or the only one."""
TOLERANCE = 3e-6
"""Greatest relative difference. With SSE, AVX2 and AVX-512 in ATen, oneDNN, MKL and numpy these losses differ by up to
3.4e-7, since sums are added in another order; this is about ten times as much, for processors that were not tried. A
learning rate that is larger by a thousandth moves them by forty times this and more."""


def losses_of(head: HeadName, folder: Path, training: TrainingConfig = TRAINING) -> Iterator[tuple[str, list[float]]]:
    """Stage 1, then each mode of Stage 2, with the loss of every step."""
    config = HEADS[f"{head}-{CONDITIONINGS[head]}"]
    stage1 = folder / "stage1"
    dataset = make_dataset(folder / "dataset")
    pretrain(stage1, dataset, PretrainConfig(config, training, validation_windows=0, directions=0), action_range=RANGE)
    yield "stage1", _losses(stage1)
    for mode in get_args(Mode):
        run = folder / mode
        adapting = AdaptConfig(mode, config, training, validation_windows=0, directions=0)
        adapt(run, make_demonstrations(), adapting, stage1=stage1)
        yield mode, _losses(run)


def read(head: str, mode: str) -> list[float]:
    """What is kept."""
    values: list[float] = json.loads(_file(head, mode).read_text())
    return values


def _losses(run: Path) -> list[float]:
    return [line["loss"] for line in read_lines(run / "metrics.jsonl") if "loss" in line]


def kept() -> set[str]:
    """Names of the files there are."""
    return {path.stem for path in FOLDER.iterdir()}


def _file(head: str, mode: str) -> Path:
    return FOLDER / f"{head}-{mode}.json"


def main() -> None:
    """Writes the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for head in get_args(HeadName):
        with tempfile.TemporaryDirectory() as folder:
            for mode, losses in losses_of(head, Path(folder)):
                _file(head, mode).write_text(json.dumps([float(f"{loss:.8g}") for loss in losses], indent=1) + "\n")


if __name__ == "__main__":
    main()
