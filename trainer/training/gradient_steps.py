"""What one gradient step computes: noise, loss, gradient, AdamW, the moving average."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shared.philox import philox_uint64
from trainer.config import TrainingConfig
from trainer.data.batch_source import RankBatch
from trainer.device import autocast, compute_dtype, worth_compiling
from trainer.model.action_head import ActionHead
from trainer.model.compilation import Forward, compiled
from trainer.model.compute_copy import compute_copy
from trainer.model.diffusion import forward_process
from trainer.training.moving_average import MovingAverage
from trainer.training.optimization import build_optimizer, set_rates
from trainer.training.ranks import Ranks
from trainer.training.to_device import send

# An id that no trajectory has, so that noise and sample order come from different streams.
_NOISE_STREAM = np.array([2**63], np.uint64)


class GradientSteps:
    """Makes gradient steps of a head.

    A step is a function of the weights, the batch, the seed and the step's number: no random state is carried along.

    Attributes:
        weights: the trained ones, by name.
        average: their moving average.
        optimizer: of them.
    """

    def __init__(self, head: ActionHead, config: TrainingConfig, ranks: Ranks) -> None:
        """Takes a head on its device, frozen as its mode says."""
        self._head, self._config, self._ranks = head, config, ranks
        self._device = next(head.parameters()).device
        self.weights: dict[str, Tensor] = dict(head.trained_parameters())
        self.average = MovingAverage(self.weights, config.average_power)
        self.optimizer = build_optimizer(head.trained_parameters(), config, self._device)
        self._parallel: nn.Module = head
        self._forward: Forward | None = None
        self._has_dropout = any(isinstance(part, torch.nn.Dropout) and part.p > 0 for part in head.modules())
        self._process = forward_process(head.prediction_type, self._device)
        self._generator = torch.Generator()

    @property
    def ready(self) -> bool:
        """Whether `prepare` has been called."""
        return self._forward is not None

    def prepare(self, step: int, batch: RankBatch, tell: Callable[[str], None]) -> None:
        """Chooses the forward pass; where it compiles it, for batches like this one, it says so first."""
        config = self._config
        dtype = compute_dtype(self._device, config.precision)
        head = self._head if dtype == torch.float32 else compute_copy(self._head, dtype, self.weights.values())
        self._parallel = self._ranks.parallel(head)
        # By the whole run's length: a resumed run must compute as the uninterrupted one does. What a compiler chooses
        # by measuring may differ from one run to the next.
        switch = "off" if config.deterministic and config.compile == "auto" else config.compile
        self._forward = self._parallel
        if worth_compiling(switch, self._device, config.steps):
            tell("compiling")
            first, *_ = self._micro_batches(step, batch)
            self._forward = compiled(self._parallel, lambda tried: self._loss(tried, first))

    def __call__(self, step: int, batch: RankBatch) -> Tensor:
        """Makes gradient step `step`, from 0, on this rank's windows, once it is `ready`.

        Returns:
            The loss, or NaN where the gradient is not finite, on its device: reading it would make a GPU wait.
        """
        assert self._forward is not None
        set_rates(self.optimizer, self._config, step)
        loss = self._backward(self._forward, self._micro_batches(step, batch))
        norm = torch.nn.utils.clip_grad_norm_(self.weights.values(), self._config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update()
        return self._ranks.mean(loss + 0 * norm)

    def _backward(self, forward: Forward, parts: Sequence["_MicroBatch"]) -> Tensor:
        """The gradient of the mean loss, which it returns, added up over the parts."""
        losses = []
        for number, part in enumerate(parts, start=1):
            # The ranks exchange their gradients once, with those of the last part.
            with nullcontext() if number == len(parts) else self._ranks.unsynchronized(self._parallel):
                loss = self._loss(forward, part) / len(parts)
                loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    def _micro_batches(self, step: int, batch: RankBatch) -> list["_MicroBatch"]:
        """The parts of a batch that are computed one after the other, with noise that was drawn for all of it."""
        noise, timesteps = self._draw(step, batch.actions)
        size = len(batch.actions) // self._config.accumulate
        return [
            _MicroBatch(
                RankBatch(batch.actions[own], batch.condition[own], tuple(seen[own] for seen in batch.pictures)),
                noise[own],
                timesteps[own],
            )
            for own in (slice(start, start + size) for start in range(0, len(batch.actions), size))
        ]

    def _loss(self, forward: Forward, part: "_MicroBatch") -> Tensor:
        batch, noise, timesteps = part
        noisy = self._process.add_noise(batch.actions, noise, timesteps)
        with autocast(self._device, self._config.precision):
            predicted = forward(noisy, timesteps, batch.condition, batch.pictures)
        return F.mse_loss(predicted.float(), self._process.target(batch.actions, noise, timesteps))

    def _draw(self, step: int, actions: Tensor) -> tuple[Tensor, Tensor]:
        """This rank's noise and timesteps of a step, drawn on the CPU so that every device sees the same."""
        seed = int(philox_uint64(self._config.seed, _NOISE_STREAM, step, 1)[0, 0]) & 0xFFFFFFFF
        self._generator.manual_seed(seed)
        windows = len(actions) * self._ranks.count
        noise = torch.randn((windows, *actions.shape[1:]), generator=self._generator)
        timesteps = self._process.draw(windows, self._generator)
        if self._has_dropout:
            torch.manual_seed(seed + self._ranks.rank)
        noise, timesteps = send(self._device, self._ranks.part(noise), self._ranks.part(timesteps))
        return noise, timesteps


class _MicroBatch(NamedTuple):
    """Windows that are computed at once, with their noise and timesteps."""

    batch: RankBatch
    noise: Tensor
    timesteps: Tensor
