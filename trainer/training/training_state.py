"""What an unfinished run goes on from: weights, average, optimizer moments, and where the data was."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.errors import CheckpointError
from trainer import tensor_file
from trainer.training.moving_average import MovingAverage

KIND = "training state"
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class TrainingState:
    """A copy on the CPU, which training does not change any more.

    Attributes:
        tensors: all of them, by the names of the file.
        metadata: what else is in it.
    """

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, Any]

    @classmethod
    def taken(
        cls,
        weights: Mapping[str, Tensor],
        average: MovingAverage,
        optimizer: torch.optim.Optimizer,
        extra: Mapping[str, Any],
    ) -> "TrainingState":
        """The state of now; `extra` goes in as JSON."""
        groups = {"weights": weights, "average": average.average}
        for moment in _MOMENTS:
            groups |= {moment: {name: optimizer.state[value][moment] for name, value in weights.items()}}
        tensors = {
            f"{group}/{name}": value.detach().to("cpu", copy=True)
            for group, values in groups.items()
            for name, value in values.items()
        }
        return cls(tensors, {"kind": KIND, "updates": average.updates, **extra})

    @property
    def average(self) -> dict[str, Tensor]:
        """The averaged weights, by their names."""
        prefix = "average/"
        return {name[len(prefix) :]: value for name, value in self.tensors.items() if name.startswith(prefix)}


def save_training_state(path: Path, state: TrainingState) -> None:
    """Writes a training state. Raises TrainingError where a number is not finite."""
    tensor_file.require_finite(state.tensors, path)
    tensor_file.write(path, state.tensors, state.metadata)


@torch.no_grad()
def load_training_state(
    path: Path, weights: Mapping[str, Tensor], average: MovingAverage, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Puts a training state back, and returns its `extra`.

    Raises CheckpointError where it is not whole, or is of a head of another shape.
    """
    tensors, metadata = tensor_file.read(path, KIND)
    shapes = {name: value.shape for name, value in weights.items()}
    for group in ("weights", "average", *_MOMENTS):
        prefix = f"{group}/"
        found = {name[len(prefix) :]: value.shape for name, value in tensors.items() if name.startswith(prefix)}
        if found != shapes:
            raise CheckpointError("is of a head of another shape; remove it to start this run over", path)
    average.updates = int(metadata["updates"])
    for name, weight in weights.items():
        weight.copy_(tensors[f"weights/{name}"])
        average.average[name].copy_(tensors[f"average/{name}"])
        moments = {moment: tensors[f"{moment}/{name}"].to(weight.device) for moment in _MOMENTS}
        optimizer.state[weight] = {"step": torch.tensor(float(average.updates), device=weight.device), **moments}
    return metadata
