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
from trainer.data.batches import Batch
from trainer.data.motion_basis import MOST_WINDOWS
from trainer.data.normalization import ActionNormalizer
from trainer.data.shares import windows_of_each
from trainer.data.trajectories.joined_datasets import JoinedDatasets
from trainer.data.trajectories.stage1_stream import stage1_stream
from trainer.data.trajectories.stream import TrajectoryStream


class JoinedStreams:
    """A BatchSource over several datasets.

    A batch holds the windows of the first dataset, then those of the second, and so on. Each dataset is walked by
    its own stream, in passes of its own, so a small one with a great share is walked more often than a large one.
    """

    def __init__(self, streams: Sequence[TrajectoryStream], datasets: JoinedDatasets, config: PretrainConfig) -> None:
        """Joins the streams of datasets. Raises ConfigError where they see other columns of their rows."""
        self._streams, self._shares = streams, datasets.shares
        self._batch = config.training.batch_size
        self._names = [f"dataset {source.header.dataset_id[:12]}" for source in datasets.sources]
        self._windows = 0
        columns = [stream.cache.decoder.steps.columns for stream in streams]
        for name, other in zip(self._names, columns, strict=True):
            if other != columns[0]:
                raise ConfigError(
                    f"{self._names[0]} is seen by the columns {', '.join(columns[0])}, {name} by {', '.join(other)}; "
                    "copies that are joined need the same objects, in the same order"
                )

    @property
    def condition_dim(self) -> int:
        """Numbers in the condition."""
        return self._streams[0].condition_dim

    def next(self, tell: Callable[[str], None]) -> Batch:
        """The next batch; waits for shards that are not there yet."""
        counts = windows_of_each(self._shares, self._windows, self._batch)
        parts = [
            stream.draw(int(count), lambda text, name=name: tell(f"{name}: {text}"))  # type: ignore[misc]
            for stream, count, name in zip(self._streams, counts, self._names, strict=True)
            if count
        ]
        self._windows += self._batch
        return _joined(parts)

    def validation(self) -> Batch | None:
        """Held-out windows of each dataset; None where none has any."""
        parts = [part for part in (stream.validation() for stream in self._streams) if part is not None]
        return _joined(parts) if parts else None

    @property
    def shards_seen(self) -> tuple[int, ...]:
        """Shards of each dataset that training has come to."""
        return tuple(stream.shards_seen for stream in self._streams)

    def motion_windows(self) -> FloatArray:
        """Windows of training trajectories of the shards that training has come to, of each dataset by its share."""
        counts = windows_of_each(self._shares, 0, MOST_WINDOWS)
        pairs = zip(self._streams, counts, strict=True)
        return np.concatenate([stream.motion_windows(count=int(count)) for stream, count in pairs if count])

    def state(self) -> dict[str, Any]:
        """Windows drawn, and the place in each dataset."""
        return {"windows": self._windows, "datasets": [stream.state() for stream in self._streams]}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes to a place that `state` gave."""
        self._windows = int(state["windows"])
        for stream, place in zip(self._streams, state["datasets"], strict=True):
            stream.restore(place)


def stage1_streams(
    datasets: JoinedDatasets,
    folder: Path,
    normalizer: ActionNormalizer,
    config: PretrainConfig,
    device: torch.device,
    *,
    cache_bytes: float = math.inf,
    ahead: bool = True,
) -> TrajectoryStream | JoinedStreams:
    """The stream of Stage 1 over one dataset or several. Raises as `stage1_stream` does, for each of them."""
    if len(datasets.sources) == 1:
        return stage1_stream(
            datasets.sources[0], folder, normalizer, config, device, cache_bytes=cache_bytes, ahead=ahead
        )
    held_out = windows_of_each(datasets.shares, 0, config.validation_windows)
    streams = [
        stage1_stream(
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
    return JoinedStreams(streams, datasets, config)


def _joined(parts: Sequence[Batch]) -> Batch:
    def of_all(values: list[Tensor]) -> Tensor:
        return values[0] if len(values) == 1 else torch.cat(values)

    return Batch(of_all([part.actions for part in parts]), of_all([part.condition for part in parts]))
