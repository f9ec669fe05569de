"""The commits of a dataset at one moment: which there are is known, what each says is read when it is looked at."""

import bisect
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

from headstart_client.data.index_set import IndexSet
from headstart_client.data.manifest import Commit, State, Totals

_TOGETHER = 1024
"""Commits read at once by who goes through all of them."""


class Commits(Sequence[Commit]):
    """Commits in index order. Looking at one may raise DatasetFormatError, which names what is damaged."""

    def __init__(
        self,
        indices: IndexSet,
        read: Callable[[Sequence[int]], list[Commit]],
        sums: Callable[[IndexSet], Totals] | None = None,
    ) -> None:
        """Takes the indices of the shards, what reads the commits of some of them, and a faster way to their sums."""
        self._runs, self._read, self._sums = indices.runs, read, sums
        self._ends = list(itertools.accumulate(end - first for first, end in self._runs))

    @property
    def indices(self) -> IndexSet:
        """Indices of their shards."""
        return IndexSet(self._runs)

    @property
    def watermark(self) -> int:
        """Number of shards committed without a gap, from shard 0."""
        return self.indices.watermark

    def get(self, index: int) -> Commit | None:
        """The commit of shard `index`, or None where it is not among them."""
        return self._read([index])[0] if index in self.indices else None

    def totals(self) -> Totals:
        """The sums over all of them, each of which is read."""
        return self._sums(self.indices) if self._sums else Totals.of(self)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[Commit]:
        indices = iter(self.indices)
        while some := list(itertools.islice(indices, _TOGETHER)):
            yield from self._read(some)

    @overload
    def __getitem__(self, place: int) -> Commit: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Commit, ...]: ...
    def __getitem__(self, place: int | slice) -> Commit | tuple[Commit, ...]:
        """The commit at a place in index order, or those of a slice."""
        places = range(len(self))[place]
        if isinstance(places, int):
            return self._read([self._index_at(places)])[0]
        return tuple(self._read([self._index_at(one) for one in places]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(Commit.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]

    def _index_at(self, place: int) -> int:
        run = bisect.bisect_right(self._ends, place)
        return self._runs[run][1] - (self._ends[run] - place)


def _none(indices: Sequence[int]) -> list[Commit]:
    return []


@dataclass(frozen=True)
class DatasetState:
    """How far a dataset is: its state, why it ended if it failed, and its commits in index order."""

    state: State
    reason: str = ""
    commits: Commits = field(default_factory=lambda: Commits(IndexSet(), _none))

    @property
    def watermark(self) -> int:
        """Number of shards committed without a gap, from shard 0."""
        return self.commits.watermark
