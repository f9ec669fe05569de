"""A step's batch in several parts, one after the other: the same losses, but for the order in which they are added."""

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.example import HEADS, RANGE, Windows, make_demonstrations, random_windows, training
from tests.trainer.policies import seen_by_a_camera
from tests.trainer.training.test_loop import OBS_DIM, assert_equal, lines, make_head, make_loop
from trainer.config import AdaptConfig
from trainer.json_lines import read_lines
from trainer.progress import silent
from trainer.stages.adapt import adapt
from trainer.training.loop import TrainingLoop
from trainer.training.ranks import Ranks
from trainer.training.run_folder import RunFolder

STEPS = 20
TOLERANCE = 1e-6
"""Relative, of each loss, in float32."""


def losses(path: Path, accumulate: int, head: str, batch_size: int = 8) -> list[float]:
    config = training(STEPS, log_every=1, accumulate=accumulate, batch_size=batch_size)
    make_loop(path, config, "normal", head=HEADS[head]).run()
    assert [line["position"] for line in lines(path)] == [batch_size * step for step in range(1, STEPS + 1)]
    return [line["loss"] for line in lines(path)]


@pytest.mark.parametrize("head", ["dp_mlp-adaln_zero", "dp_c-film", "dp_t-cross_attn", "dp_t_film-film"])
def test_the_losses_are_those_of_the_batch_at_once(head: str, tmp_path: Path) -> None:
    whole = losses(tmp_path / "1", 1, head)
    for parts in (2, 4, 8):
        np.testing.assert_allclose(losses(tmp_path / str(parts), parts, head), whole, rtol=TOLERANCE)
    assert abs(losses(tmp_path / "half", 1, head, batch_size=4)[0] / whole[0] - 1) > 1000 * TOLERANCE


def test_one_part_after_the_other_is_computed(tmp_path: Path) -> None:
    seen: list[tuple[int, ...]] = []
    loop = make_loop(tmp_path, training(2, accumulate=4))
    loop.head.register_forward_hook(lambda module, given, made: seen.append(tuple(given[0].shape)))
    loop.run()
    assert seen == 8 * [(2, 16, 10)]


def test_pictures_are_accumulated_too(tmp_path: Path) -> None:
    demonstrations, found = seen_by_a_camera(make_demonstrations()), []
    for parts in (1, 2):
        settings = training(3, log_every=1, batch_size=4, accumulate=parts)
        config = AdaptConfig("normal", HEADS["dp_mlp-film"], settings, validation_windows=0, directions=0)
        adapt(tmp_path / str(parts), demonstrations, config, action_range=RANGE)
        written = read_lines(tmp_path / str(parts) / "metrics.jsonl")
        found.append([line["loss"] for line in written if "loss" in line])
    assert len(found[0]) == 3
    np.testing.assert_allclose(found[1], found[0], rtol=TOLERANCE)


def test_interrupted_it_ends_bit_equal_with_dropout_too(tmp_path: Path) -> None:
    config, head = training(6, checkpoint_every=3, accumulate=2), replace(HEADS["dp_mlp-adaln_zero"], dropout=0.3)
    whole = make_loop(tmp_path / "whole", config, "normal", head=head)
    whole.run()

    def interrupt(position: int) -> None:
        if position == 32:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        make_loop(tmp_path / "parts", config, "normal", interrupt, head).run()
    torch.rand(7)
    second = make_loop(tmp_path / "parts", config, "normal", head=head)
    assert second.step == 4
    second.run()
    assert_equal(whole, second)


def test_the_noise_is_the_batchs_whatever_the_ranks_and_parts(tmp_path: Path) -> None:
    """Of two ranks by themselves, which are not joined: each one's mean loss, and the mean of these."""
    windows = random_windows(24, 2 * OBS_DIM)
    found = []
    for count, parts in ((1, 1), (2, 1), (2, 2)):
        of_ranks = []
        for rank in range(count):
            config, source = training(1, accumulate=parts), Windows(windows, 8)
            loop = TrainingLoop(make_head(), source, config, RunFolder(tmp_path), silent, Ranks(rank, count))
            of_ranks.append(float(loop.gradient_step(source.next(lambda text: None))))
        found.append(np.mean(of_ranks))
    np.testing.assert_allclose(found[1:], found[0], rtol=TOLERANCE)
