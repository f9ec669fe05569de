"""The first losses of every head, in Stage 1 and every mode, are those that are kept (tests/golden_losses.py)."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from tests.golden_losses import STEPS, TOLERANCE, TRAINING, kept, losses_of, read
from trainer.config import HeadName, Mode


def difference(losses: list[float], expected: list[float]) -> float:
    """The greatest relative one of all steps."""
    assert len(losses) == len(expected) == STEPS
    return float(np.abs(np.array(losses) / np.array(expected) - 1).max())


@pytest.mark.parametrize("head", get_args(HeadName))
def test_losses_are_those_that_are_kept(head: HeadName, tmp_path: Path) -> None:
    found = {mode: difference(losses, read(head, mode)) for mode, losses in losses_of(head, tmp_path)}
    assert list(found) == ["stage1", *get_args(Mode)]
    changed = {mode: by for mode, by in found.items() if by > TOLERANCE}
    assert not changed, f"{head}: {changed}; where that is meant, run `python -m tests.golden_losses` and say why"


def test_a_file_is_kept_for_each_head_and_mode() -> None:
    assert kept() == {f"{head}-{mode}" for head in get_args(HeadName) for mode in ("stage1", *get_args(Mode))}


def test_a_learning_rate_that_is_larger_by_a_thousandth_is_seen(tmp_path: Path) -> None:
    faster = replace(TRAINING, learning_rate=1.001 * TRAINING.learning_rate)
    found = {mode: difference(losses, read("dp_mlp", mode)) for mode, losses in losses_of("dp_mlp", tmp_path, faster)}
    assert min(found.values()) > 30 * TOLERANCE, found
