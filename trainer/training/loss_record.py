"""The losses since the last line of the metrics, and the places in the source that they came from."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.errors import TrainingError
from trainer import tensor_file
from trainer.data.batch_source import Batch, RankBatch

Place = dict[str, Any]
"""What `BatchSource.state` gives."""


class LossRecord:
    """Keeps losses on their device until they are asked for: reading each one would make a GPU wait at every step.

    Of the batches it keeps their places alone: with pictures, those of 50 steps would be a gigabyte.
    """

    def __init__(self) -> None:
        self._known: list[float] = []
        self._losses: list[Tensor] = []
        self._places: list[Place] = []

    def add(self, loss: Tensor, place: Place) -> None:
        """Takes the loss of the step that has just been made, and where the source was before its batch."""
        self._losses.append(loss)
        self._places.append(place)

    def restore(self, losses: list[float]) -> None:
        """Takes what `read` gave to a run that was then interrupted."""
        self._known = losses

    def clear(self) -> None:
        """Forgets them."""
        self._known, self._losses, self._places = [], [], []

    def read(self, step: int, folder: Path, redraw: Callable[[Place], Batch | RankBatch]) -> list[float]:
        """The losses up to step `step`.

        Raises TrainingError at the first that is not finite, after saving its batch in `folder`, which `redraw` makes
        once more.
        """
        losses = torch.stack(self._losses).tolist() if self._losses else []
        for index, loss in enumerate(losses):
            if not math.isfinite(loss):
                bad_step = step - len(losses) + index + 1
                path = folder / f"non-finite-step-{bad_step:08d}.safetensors"
                batch = redraw(self._places[index])
                tensors = {"actions": batch.actions, "condition": batch.condition}
                tensors |= {f"pictures_{camera}": seen for camera, seen in enumerate(batch.pictures)}
                tensor_file.write(path, tensors, {"kind": "batch", "step": bad_step})
                raise TrainingError(
                    f"the loss or its gradient is not finite at step {bad_step}; the batch is in {path}. If it holds "
                    "values that are not finite, the data is at fault; if not, lower the learning rate. Nothing was "
                    "saved since"
                )
        return self._known + losses
