"""Which of several shards that can't be made fails the job: the one of the lowest ids, whichever was found first."""

from collections.abc import Iterable

from services.synthesis.pipeline import ShardPlan
from shared.errors import SynthesisError


class FirstFailure:
    """The failure of the shard of the lowest ids of one call of run_shards, so far. Plans are begun in this order."""

    def __init__(self) -> None:
        self._found: tuple[int, SynthesisError] | None = None

    def add(self, plan: ShardPlan, error: SynthesisError) -> None:
        """Takes note of why a shard, or a part of one, can't be made."""
        if self._found is None or plan.first_id < self._found[0]:
            self._found = plan.first_id, error

    def raise_before(self, plans: Iterable[ShardPlan]) -> None:
        """Raises it if none of these plans, which are all that were begun, comes before it."""
        if self._found is not None and all(plan.first_id > self._found[0] for plan in plans):
            raise self._found[1]
