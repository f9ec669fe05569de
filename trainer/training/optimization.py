"""The optimizer's parameter groups and the learning rate's schedule."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from trainer.config import TrainingConfig
from trainer.model.vision import VISION


def build_optimizer(
    parameters: Iterable[tuple[str, nn.Parameter]], config: TrainingConfig, device: torch.device
) -> torch.optim.AdamW:
    """AdamW, fused where the device has it.

    Weight decay is on matrices alone, neither positions nor the projection. Each group says its `peak`, the learning
    rate after the warm-up: cameras' networks may have one of their own.
    """
    rates = config.learning_rate, config.vision_learning_rate or config.learning_rate
    groups: dict[tuple[float, float], list[nn.Parameter]] = {
        (rate, decay): [] for rate in rates for decay in (config.weight_decay, 0.0)
    }
    for name, parameter in parameters:
        spared = name.endswith(("bias", "positions")) or name.startswith("conditioning.projection")
        decay = config.weight_decay if parameter.ndim > 1 and not spared else 0.0
        groups[rates[name.startswith(VISION)], decay].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": group, "weight_decay": decay, "lr": rate, "peak": rate}
            for (rate, decay), group in groups.items()
            if group
        ],
        betas=config.betas,
        fused=device.type in ("cpu", "cuda", "mps"),
    )


def set_rates(optimizer: torch.optim.Optimizer, config: TrainingConfig, step: int) -> None:
    """Gives each group of an optimizer its learning rate for gradient step `step`, from 0."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(config, step, group["peak"])


def learning_rates(config: TrainingConfig, step: int) -> dict[str, float]:
    """What the metrics say of a gradient step's rates; of the cameras' networks where they have one of their own."""
    vision = config.vision_learning_rate
    rates = {"learning_rate": learning_rate(config, step, config.learning_rate)}
    return rates if vision is None else rates | {"vision_learning_rate": learning_rate(config, step, vision)}


def learning_rate(config: TrainingConfig, step: int, peak: float) -> float:
    """The learning rate of gradient step `step`, from 0: linear warm-up to the peak, then what the schedule says.

    A constant rate does not know of an end: a run that is lengthened is the longer run from its beginning on.
    """
    warmup = config.warmup_steps
    if config.schedule != "constant":
        warmup = min(warmup, config.steps // 2)
    if step < warmup:
        return peak * (step + 1) / warmup
    if config.schedule == "constant":
        return peak
    done = (step - warmup) / max(1, config.steps - warmup)
    if config.schedule == "linear":
        return peak * (1 - done)
    return peak * 0.5 * (1 + math.cos(math.pi * done))
