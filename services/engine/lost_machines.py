"""Machines of a cluster that go without a word, as when their power or their network fails.

Ray learns that such a machine is gone, but goes on waiting for what it was doing, and keeps back what it meant to give
it. It does not say which shards those are. So what was in the making then is given some time to end.
"""

from collections.abc import Mapping, Set
from typing import Any

SILENT_S = 20.0
"""How long the shards in the making are given to end once a machine is gone."""


class LostMachines:
    """Whether something is waited for in vain; told now and then which machines there are."""

    def __init__(self) -> None:
        self._nodes: Set[str] = frozenset()
        self._in_doubt: Mapping[Any, Any] = {}
        self._until = 0.0

    def hold_up(self, nodes: Set[str], running: Mapping[Any, Any], now: float) -> bool:
        """Whether a shard that was in the making when a machine was lost has not ended in the time it was given.

        Args:
            nodes: of the cluster, each by an identifier that no later one has.
            running: shards in the making, each with what its try is known by.
            now: the time, on a clock that only goes forward [s].
        """
        if self._nodes - nodes:
            self._in_doubt, self._until = dict(running), now + SILENT_S
        # What is lost while nothing is made holds nothing up.
        self._nodes = nodes if running else frozenset()
        return now >= self._until and any(running.get(key) is one for key, one in self._in_doubt.items())
