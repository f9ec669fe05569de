"""What the training loop is fed with."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from torch import Tensor


class Batch(NamedTuple):
    """Windows of normalized actions (batch, horizon, action_dim) with their condition (batch, condition_dim).

    In Stage 2 also what each camera saw: (batch, n_obs_steps, height, width, 3) uint8. Of a batch that several ranks
    share, actions and condition are the whole batch's, for they cost little; pictures are this rank's alone.
    """

    actions: Tensor
    condition: Tensor
    pictures: tuple[Tensor, ...] = ()


class BatchSource(Protocol):
    """An endless row of batches whose place can be saved. What it gives is a function of that place alone."""

    def next(self, tell: Callable[[str], None]) -> Batch:
        """The next batch, on the training device.

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
