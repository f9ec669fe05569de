"""A signal that comes while a batch is made, at whatever line: nothing of the run is lost or done twice."""

import itertools
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from shared.dataset import Dataset
from tests.shared.example import OTHER
from tests.trainer.data.copies.example import DEMONSTRATIONS, make_copies
from tests.trainer.data.copies.example import RANGE as COPIES_RANGE
from tests.trainer.example import RANGE, make_dataset, make_demonstrations, training
from tests.trainer.policies import seen_by_a_camera
from trainer import tensor_file
from trainer.config import AdaptConfig, HeadConfig, PretrainConfig
from trainer.data.batch_source import Batch
from trainer.data.trajectories.joined_batches import JoinedBatches
from trainer.data.trajectories.joined_datasets import JoinedDatasets
from trainer.data.trajectories.trajectory_batches import TrajectoryBatches
from trainer.model.vision import PICTURE_FEATURES
from trainer.stages.adapt import adapt
from trainer.stages.batches_with_copies import BatchesWithCopies
from trainer.stages.demonstration_batches import DemonstrationBatches
from trainer.stages.pretrain import pretrain
from trainer.training.checkpoint import KIND

HEAD = HeadConfig(size="tiny")
TRAINING = training(4, log_every=1)
_SIGNALLED = 2
"""The batch in which the signal comes."""
_PLACES = 6
"""Of all the lines that making the batch runs through, evenly spread, the first and the last among them."""


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_copies(tmp_path_factory.mktemp("copies") / "dataset")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("generated"))


class Lines:
    """Counts the lines of ours that one batch of a source runs through; raises a signal at one of them."""

    def __init__(self, source: type, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.at, self.number = 0, -1, signal.SIGTERM
        self._batches = 0
        fetch: Callable[[Any, Callable[[str], None]], Batch] = source.next  # type: ignore[attr-defined]

        def traced(of: Any, tell: Callable[[str], None]) -> Batch:
            self._batches += 1
            if self._batches != _SIGNALLED:
                return fetch(of, tell)
            before = sys.gettrace()
            sys.settrace(self._trace)
            try:
                return fetch(of, tell)
            finally:
                sys.settrace(before)

        monkeypatch.setattr(source, "next", traced)

    def begin(self, at: int = -1, number: signal.Signals = signal.SIGTERM) -> None:
        """Counts anew."""
        self._batches, self.count, self.at, self.number = 0, 0, at, number

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not any(part in frame.f_code.co_filename for part in ("/trainer/", "/shared/")):
            return None
        if event in ("line", "return"):
            self.count += 1
            if self.count - 1 == self.at:
                signal.raise_signal(self.number)
        return self._trace


def check(folder: Path, train: Callable[[Path], Path], lines: Lines) -> None:
    """Signals at every chosen line, then goes on: the losses and weights are those of the whole run."""
    whole = train(folder / "whole")
    weights = tensor_file.read(whole, KIND)[0]
    assert lines.count > _PLACES
    places = np.linspace(0, lines.count - 1, _PLACES).astype(int).tolist()
    # One handler takes both, so each comes at every other line.
    for place, number in zip(places, itertools.cycle((signal.SIGINT, signal.SIGTERM)), strict=False):
        run = folder / str(place)
        lines.begin(place, number)
        with pytest.raises(KeyboardInterrupt):
            train(run)
        lines.begin()
        resumed = tensor_file.read(train(run), KIND)[0]
        assert losses(run) == losses(folder / "whole"), (place, number)
        assert all(torch.equal(value, weights[name]) for name, value in resumed.items())


def losses(run: Path) -> list[tuple[int, float]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"]) for row in rows if "loss" in row]


def test_in_generated_trajectories(generated: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = PretrainConfig(HEAD, TRAINING, validation_windows=0)
    check(tmp_path, lambda run: pretrain(run, generated, config), Lines(TrajectoryBatches, monkeypatch))


def test_in_joined_datasets(generated: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = PretrainConfig(HEAD, TRAINING, validation_windows=0, directions=0)
    joined = JoinedDatasets.of([generated, make_dataset(tmp_path / "other", header=OTHER)], [3, 1])
    check(tmp_path, lambda run: pretrain(run, joined, config), Lines(JoinedBatches, monkeypatch))


def test_in_copies_of_demonstrations_alone(copies: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = PretrainConfig(HEAD, TRAINING, condition="objects", validation_windows=0)
    lines = Lines(TrajectoryBatches, monkeypatch)
    check(tmp_path, lambda run: pretrain(run, copies, config, action_range=COPIES_RANGE), lines)


class ColourEncoder(nn.Module):
    """A camera's network that takes no time."""

    def __init__(self, pretrained: bool) -> None:
        super().__init__()
        assert not pretrained
        self.output = nn.Linear(3, PICTURE_FEATURES)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        colours: torch.Tensor = self.output(pictures.float().mean((1, 2)) / 255)
        return colours


@pytest.mark.parametrize("seen", [False, True])
def test_in_demonstrations(seen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.model.vision.CameraEncoder", ColourEncoder)
    demonstrations = seen_by_a_camera(make_demonstrations()) if seen else make_demonstrations()
    config = AdaptConfig("random_body", HEAD, TRAINING, validation_windows=0, observation_noise=0.1)
    lines = Lines(DemonstrationBatches, monkeypatch)
    check(tmp_path, lambda run: adapt(run, demonstrations, config, action_range=RANGE), lines)


def test_in_demonstrations_mixed_with_copies(copies: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = AdaptConfig("random_body", HEAD, TRAINING, validation_windows=0, observation_noise=0.1)
    lines = Lines(BatchesWithCopies, monkeypatch)
    check(
        tmp_path,
        lambda run: adapt(run, DEMONSTRATIONS, config, action_range=COPIES_RANGE, copies=copies),
        lines,
    )
