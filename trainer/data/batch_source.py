"""What the training loop is fed with: a batch, and what every source of batches does (the files *_batches.py)."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from torch import Tensor


class Batch(NamedTuple):
    """All windows of a step, or of a measurement: actions and condition of each, and in Stage 2 what cameras saw.

    Attributes:
        actions: normalized, (batch, horizon, action_dim).
        condition: (batch, condition_dim).
        pictures: of each camera, (batch, n_picture_steps, height, width, 3) uint8.
    """

    actions: Tensor
    condition: Tensor
    pictures: tuple[Tensor, ...] = ()


class RankBatch(NamedTuple):
    """One rank's windows of a step, its equal part of a `Batch`, with the same fields."""

    actions: Tensor
    condition: Tensor
    pictures: tuple[Tensor, ...] = ()


class BatchSource(Protocol):
    """An endless row of batches whose place can be saved. What it gives is a function of that place alone."""

    def next(self, tell: Callable[[str], None]) -> Batch | RankBatch:
        """The next batch, on the training device: whole, or, where it has pictures, this rank's part alone.

        Broken off by an exception, it may leave its place anywhere: who goes on restores the `state` from before.

        Args:
            tell: given a few words when the source has to wait, before it does; the time from then on until the
                batch is there does not count as training.
        """
        ...

    def validation(self) -> Batch | None:
        """Held-out windows, always the same, or None where there are none."""
        ...

    def state(self) -> dict[str, Any]:
        """Its place, as JSON; also written to the metrics."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Goes to a place that `state` gave."""
        ...
