"""In which order windows of demonstrations are drawn: of each set in passes of its own, of several by their shares."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from shared.order import IntArray, ascending
from shared.philox import philox_uint64
from trainer.data.shares import windows_of_each

ORDER_STREAM = np.array([2**62 + 2**61], np.int64)
"""An id that no trajectory has; those after it are Stage 2's other streams."""
_AT_ONCE = 2**22


class WindowOrder:
    """Which windows each batch has, a function of the batch's place: how many windows were drawn before it.

    Each set's pass is a seeded permutation of its windows. A batch has the windows of the first set, then those of the
    second, and so on.
    """

    def __init__(self, counts: Sequence[int], shares: Sequence[float], seed: int, device: torch.device) -> None:
        """Takes how many windows each set has, which lie one after the other, each above 0 where there are several."""
        self._counts, self._shares, self._seed, self._device = tuple(counts), tuple(shares), seed, device
        self._begins = np.cumsum([0, *counts])[:-1]
        self._permutations: dict[int, tuple[int, IntArray, Tensor]] = {}
        self._known = 0, np.zeros(len(counts), np.int64)

    def at(self, position: int, size: int) -> tuple[IntArray, Tensor]:
        """The windows of a batch of this size, in the CPU's memory and on the device."""
        before = self._drawn(position)
        counts = self._of_each(position, size)
        self._known = position, before
        parts = [
            part
            for number, (begin, count) in enumerate(zip(before.tolist(), counts.tolist(), strict=True))
            for part in self._of_set(number, begin, begin + count)
        ]
        return np.concatenate([chosen for chosen, _ in parts]), torch.cat([on_device for _, on_device in parts])

    def _of_set(self, number: int, position: int, end: int) -> list[tuple[IntArray, Tensor]]:
        """A set's windows from one place in its passes to another; they may span several."""
        parts = list[tuple[IntArray, Tensor]]()
        while position < end:
            epoch, place = divmod(position, self._counts[number])
            order, on_device = self._permuted(number, epoch)
            inside = slice(place, place + end - position)
            parts.append((order[inside], on_device[inside]))
            position += len(parts[-1][0])
        return parts

    def _of_each(self, first: int, count: int) -> IntArray:
        if len(self._counts) == 1:
            return np.array([count], np.int64)
        return windows_of_each(self._shares, first, count)

    def _drawn(self, position: int) -> IntArray:
        """How many windows of each set were drawn before a place."""
        if len(self._counts) == 1:
            return np.array([position], np.int64)
        at, drawn = self._known if self._known[0] <= position else (0, np.zeros_like(self._known[1]))
        while at < position:
            step = min(position - at, _AT_ONCE)
            drawn, at = drawn + windows_of_each(self._shares, at, step), at + step
        return drawn

    def _permuted(self, number: int, epoch: int) -> tuple[IntArray, Tensor]:
        """The order of a set's pass, in the CPU's memory and on the device."""
        known = self._permutations.get(number)
        if known is None or known[0] != epoch:
            # A run's seed is below 2^32, so each set has an order of its own.
            seed = self._seed + (number << 32)
            keys = philox_uint64(seed, ORDER_STREAM, epoch, self._counts[number])[0]
            order = ascending(keys) + self._begins[number]
            known = self._permutations[number] = epoch, order, torch.from_numpy(order).to(self._device)
        return known[1:]
