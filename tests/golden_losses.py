"""Losses of the first steps of every head in Stage 1 and in every mode of Stage 2, kept in files.

    python -m tests.golden_losses

writes them anew into tests/data/golden_losses, one file for each head and mode, and of flow matching for each head in
Stage 1 and decoupled; test_golden_losses.py compares. Who changes a number that training computes commits the files
that change, and says why.

Everything is small, in float32 on one thread of the CPU, from the data of tests/trainer/example.py. The runs are whole
ones, with their streams, normalization and checkpoints in between.
"""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import get_args

from tests.pages import ROOT
from tests.trainer.example import HEADS, make_dataset, make_demonstrations, training
from trainer.config import AdaptConfig, HeadName, Mode, PredictionType, PretrainConfig, TrainingConfig
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
PREDICTION_TYPES: tuple[PredictionType, ...] = ("epsilon", "flow")
"""Those that are trained in steps of their own; the others of diffusion differ in the target alone."""
TOLERANCE = 3e-6
"""Greatest relative difference. With SSE, AVX2 and AVX-512 in ATen, oneDNN, MKL and numpy these losses differ by up to
3.4e-7, since sums are added in another order; this is about ten times as much, for processors that were not tried. A
learning rate that is larger by a thousandth moves them by forty times this and more."""


def losses_of(
    head: HeadName,
    folder: Path,
    training: TrainingConfig = TRAINING,
    prediction_type: PredictionType = "epsilon",
) -> Iterator[tuple[str, list[float]]]:
    """Stage 1, then each mode of Stage 2, or of another prediction than the noise one, with the loss of every step."""
    config = replace(HEADS[f"{head}-{CONDITIONINGS[head]}"], prediction_type=prediction_type)
    stage1 = folder / "stage1"
    dataset = make_dataset(folder / "dataset")
    pretrain(stage1, dataset, PretrainConfig(config, training, validation_windows=0, directions=0), action_range=RANGE)
    yield "stage1", _losses(stage1)
    for mode in modes(prediction_type):
        run = folder / mode
        adapting = AdaptConfig(mode, config, training, validation_windows=0, directions=0)
        adapt(run, make_demonstrations(), adapting, stage1=stage1)
        yield mode, _losses(run)


def modes(prediction_type: PredictionType) -> tuple[Mode, ...]:
    """Those of Stage 2 whose losses are kept: modes differ in what is trained, which a prediction does not change."""
    return get_args(Mode) if prediction_type == "epsilon" else ("decoupled",)


def read(head: str, mode: str, prediction_type: PredictionType = "epsilon") -> list[float]:
    """What is kept."""
    values: list[float] = json.loads(_file(head, mode, prediction_type).read_text())
    return values


def _losses(run: Path) -> list[float]:
    return [line["loss"] for line in read_lines(run / "metrics.jsonl") if "loss" in line]


def kept() -> set[str]:
    """Names of the files there are."""
    return {path.stem for path in FOLDER.iterdir()}


def _file(head: str, mode: str, prediction_type: PredictionType) -> Path:
    return FOLDER / f"{head}-{mode}{'' if prediction_type == 'epsilon' else f'-{prediction_type}'}.json"


def main() -> None:
    """Writes the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for head, prediction_type in product(get_args(HeadName), PREDICTION_TYPES):
        with tempfile.TemporaryDirectory() as folder:
            for mode, losses in losses_of(head, Path(folder), prediction_type=prediction_type):
                _file(head, mode, prediction_type).write_text(
                    json.dumps([float(f"{loss:.8g}") for loss in losses], indent=1) + "\n"
                )


if __name__ == "__main__":
    main()
