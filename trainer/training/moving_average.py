"""The moving average of the trained weights, which is what a policy runs on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class MovingAverage:
    """average <- decay * average + (1 - decay) * weight, with a decay that rises with the steps taken.

    Frozen weights are not in it: averaging them would only cost time.
    """

    def __init__(self, weights: Mapping[str, Tensor], power: float, greatest: float = 0.9999) -> None:
        self.power, self.greatest = power, greatest
        self.updates = 0
        self.average = {name: weight.detach().clone() for name, weight in weights.items()}
        self._weights = dict(weights)

    def decay(self, update: int) -> float:
        """Of the k-th update, k from 1: 1 - k^-power, at most `greatest` (the first one copies the weights)."""
        return min(self.greatest, 1 - float(update**-self.power))

    @torch.no_grad()
    def update(self) -> None:
        """Moves the average towards the weights, all tensors in one call."""
        self.updates += 1
        weights = list(self._weights.values())
        torch._foreach_lerp_(list(self.average.values()), weights, 1 - self.decay(self.updates))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Puts the average in the weights' place meanwhile."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, weight in self._weights.items():
            kept = weight.clone()
            weight.copy_(self.average[name])
            self.average[name].copy_(kept)
