"""Batches of windows of several datasets, each with its share of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shared.errors import ConfigError
from trainer.config import PretrainConfig
from trainer.data.action import FloatArray
from trainer.data.batch_source import Batch
from trainer.data.motion_basis import MOST_WINDOWS
from trainer.data.normalization import ActionNormalizer
from trainer.data.shares import windows_of_each
from trainer.data.trajectories.dataset_batches import dataset_batches
from trainer.data.trajectories.joined_datasets import JoinedDatasets
from trainer.data.trajectories.trajectory_batches import TrajectoryBatches


class JoinedBatches:
    """A BatchSource over several datasets.

    A batch holds the windows of the first dataset, then those of the second, and so on. Each dataset is walked in
    passes of its own, so a small one with a great share is walked more often than a large one.
    """

    def __init__(self, each: Sequence[TrajectoryBatches], datasets: JoinedDatasets, config: PretrainConfig) -> None:
        """Joins the batches of each dataset. Raises ConfigError where they see other columns of their rows."""
        self._each, self._shares = each, datasets.shares
        self._batch = config.training.batch_size
        self._names = [f"dataset {source.header.dataset_id[:12]}" for source in datasets.sources]
        self._windows = 0
        columns = [one.cache.decoder.steps.columns for one in each]
        for name, other in zip(self._names, columns, strict=True):
            if other != columns[0]:
                raise ConfigError(
                    f"{self._names[0]} is seen by the columns {', '.join(columns[0])}, {name} by {', '.join(other)}; "
                    "copies that are joined need the same objects, in the same order"
                )

    @property
    def condition_dim(self) -> int:
        """Numbers in the condition."""
        return self._each[0].condition_dim

    def next(self, tell: Callable[[str], None]) -> Batch:
        """The next batch; waits for shards that are not there yet."""
        counts = windows_of_each(self._shares, self._windows, self._batch)
        parts = [
            one.draw(int(count), lambda text, name=name: tell(f"{name}: {text}"))  # type: ignore[misc]
            for one, count, name in zip(self._each, counts, self._names, strict=True)
            if count
        ]
        self._windows += self._batch
        return _joined(parts)

    def validation(self) -> Batch | None:
        """Held-out windows of each dataset; None where none has any."""
        parts = [part for part in (one.validation() for one in self._each) if part is not None]
        return _joined(parts) if parts else None

    @property
    def shards_seen(self) -> tuple[int, ...]:
        """Shards of each dataset that training has come to."""
        return tuple(one.shards_seen for one in self._each)

    def motion_windows(self) -> FloatArray:
        """Windows of training trajectories of the shards that training has come to, of each dataset by its share."""
        counts = windows_of_each(self._shares, 0, MOST_WINDOWS)
        pairs = zip(self._each, counts, strict=True)
        return np.concatenate([one.motion_windows(count=int(count)) for one, count in pairs if count])

    def state(self) -> dict[str, Any]:
        """Windows drawn, and the place in each dataset."""
        return {"windows": self._windows, "datasets": [one.state() for one in self._each]}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes to a place that `state` gave."""
        self._windows = int(state["windows"])
        for one, place in zip(self._each, state["datasets"], strict=True):
            one.restore(place)


def stage1_batches(
    datasets: JoinedDatasets,
    folder: Path,
    normalizer: ActionNormalizer,
    config: PretrainConfig,
    device: torch.device,
    *,
    cache_bytes: float = math.inf,
    ahead: bool = True,
) -> TrajectoryBatches | JoinedBatches:
    """The batches of Stage 1, of one dataset or several. Raises as `dataset_batches` does, for each of them."""
    if len(datasets.sources) == 1:
        return dataset_batches(
            datasets.sources[0], folder, normalizer, config, device, cache_bytes=cache_bytes, ahead=ahead
        )
    held_out = windows_of_each(datasets.shares, 0, config.validation_windows)
    each = [
        dataset_batches(
            source,
            folder / source.header.dataset_id,
            normalizer,
            replace(config, validation_windows=int(held_out[number])),
            device,
            cache_bytes=cache_bytes,
            number=number,
            of=len(datasets.sources),
            ahead=ahead,
        )
        for number, source in enumerate(datasets.sources)
    ]
    return JoinedBatches(each, datasets, config)


def _joined(parts: Sequence[Batch]) -> Batch:
    def of_all(values: list[Tensor]) -> Tensor:
        return values[0] if len(values) == 1 else torch.cat(values)

    return Batch(of_all([part.actions for part in parts]), of_all([part.condition for part in parts]))
