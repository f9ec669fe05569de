"""The optimizer's parameter groups and the learning rate's schedule."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from trainer.config import TrainingConfig


def build_optimizer(
    parameters: Iterable[tuple[str, nn.Parameter]], config: TrainingConfig, device: torch.device
) -> torch.optim.AdamW:
    """AdamW, fused where the device has it; weight decay on matrices alone, neither positions nor the projection."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in parameters:
        spared = name.endswith(("bias", "positions")) or name.startswith("conditioning.projection")
        (decayed if parameter.ndim > 1 and not spared else plain).append(parameter)
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.learning_rate,
        betas=config.betas,
        fused=device.type in ("cpu", "cuda", "mps"),
    )


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Of gradient step `step`, from 0: linear warm-up, then half a cosine down to zero at `config.steps`."""
    warmup = min(config.warmup_steps, config.steps // 2)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, config.steps - warmup)))
