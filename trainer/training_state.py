"""What an unfinished run goes on from: weights, average, optimizer moments, and where the data was."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.errors import CheckpointError
from trainer import tensor_file
from trainer.moving_average import MovingAverage

KIND = "training state"
_MOMENTS = ("exp_avg", "exp_avg_sq")


def save_training_state(
    path: Path,
    weights: Mapping[str, Tensor],
    average: MovingAverage,
    optimizer: torch.optim.Optimizer,
    extra: Mapping[str, Any],
) -> None:
    """Writes a training state; `extra` goes in as JSON. Raises TrainingError where a number is not finite."""
    tensors = {f"weights/{name}": value for name, value in weights.items()}
    tensors |= {f"average/{name}": value for name, value in average.average.items()}
    for moment in _MOMENTS:
        tensors |= {f"{moment}/{name}": optimizer.state[value][moment] for name, value in weights.items()}
    tensor_file.require_finite(tensors, path)
    tensor_file.write(path, tensors, {"kind": KIND, "updates": average.updates, **extra})


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
