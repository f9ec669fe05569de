"""Shards made one after another in the calling thread: for debugging and for one core."""

from collections.abc import Callable, Iterable

from services.engine.engine import EngineName, make_shard, never
from services.synthesis.pipeline import ShardPlan
from shared.manifest import Commit
from shared.storage import Location


class InlineEngine:
    """The engine without workers. `should_stop` is only asked between shards; Ctrl-C interrupts one."""

    name: EngineName = "inline"
    workers = 1
    problem = ""

    def start(self, should_stop: Callable[[], bool] = never) -> None:
        """Nothing to start."""

    def run_shards(
        self,
        plans: Iterable[ShardPlan],
        root: Location,
        on_commit: Callable[[Commit], None],
        should_stop: Callable[[], bool],
    ) -> bool:
        """See Engine.run_shards."""
        for plan in plans:
            if should_stop():
                return False
            on_commit(make_shard(plan, root))
        return True

    def close(self) -> None:
        """Nothing to end."""
