"""The first losses of every head, in Stage 1 and every mode, are those that are kept (tests/golden_losses.py)."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from tests.golden_losses import PREDICTION_TYPES, STEPS, TOLERANCE, TRAINING, kept, losses_of, modes, read
from trainer.config import HeadName, Mode, PredictionType


def difference(losses: list[float], expected: list[float]) -> float:
    """The greatest relative one of all steps."""
    assert len(losses) == len(expected) == STEPS
    return float(np.abs(np.array(losses) / np.array(expected) - 1).max())


@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
@pytest.mark.parametrize("head", get_args(HeadName))
def test_losses_are_those_that_are_kept(head: HeadName, prediction_type: PredictionType, tmp_path: Path) -> None:
    computed = losses_of(head, tmp_path, prediction_type=prediction_type)
    found = {mode: difference(losses, read(head, mode, prediction_type)) for mode, losses in computed}
    assert list(found) == ["stage1", *modes(prediction_type)]
    changed = {mode: by for mode, by in found.items() if by > TOLERANCE}
    assert not changed, f"{head}: {changed}; where that is meant, run `python -m tests.golden_losses` and say why"


def test_a_file_is_kept_for_each_head_and_mode() -> None:
    names = {f"{head}-{mode}" for head in get_args(HeadName) for mode in ("stage1", *get_args(Mode))}
    assert kept() == names | {f"{head}-{mode}-flow" for head in get_args(HeadName) for mode in ("stage1", "decoupled")}


def test_a_learning_rate_that_is_larger_by_a_thousandth_is_seen(tmp_path: Path) -> None:
    faster = replace(TRAINING, learning_rate=1.001 * TRAINING.learning_rate)
    found = {mode: difference(losses, read("dp_mlp", mode)) for mode, losses in losses_of("dp_mlp", tmp_path, faster)}
    assert min(found.values()) > 30 * TOLERANCE, found
