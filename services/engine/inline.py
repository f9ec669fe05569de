"""Shards made one after another in the calling thread: for debugging and for one core."""

from collections.abc import Callable, Iterable

from services.engine.engine import POLL_S, EngineName, ShardTask, make_shard, never, usual
from services.engine.fair_share import FairShare
from services.synthesis.pipeline import ShardPlan
from shared.manifest import Commit
from shared.storage import Location


class InlineEngine:
    """The engine without workers. `should_stop` is only asked between shards; Ctrl-C interrupts one."""

    name: EngineName = "inline"
    workers = 1
    problem = ""

    def __init__(self) -> None:
        self._sharing = FairShare(lambda: self.workers)

    def start(self, should_stop: Callable[[], bool] = never) -> None:
        """Nothing to start."""

    def run_shards(
        self,
        plans: Iterable[ShardPlan],
        root: Location,
        on_commit: Callable[[Commit], None],
        should_stop: Callable[[], bool],
        priority: Callable[[], int] = usual,
    ) -> bool:
        """See Engine.run_shards."""
        with self._sharing.joined(priority) as share:
            for plan in plans:
                while not share.take(POLL_S):
                    if should_stop():
                        return False
                try:
                    if should_stop():
                        return False
                    commit = make_shard(ShardTask.of(plan), root)
                finally:
                    share.give_back()
                if commit is not None:
                    on_commit(commit)
        return True

    def close(self) -> None:
        """Nothing to end."""
