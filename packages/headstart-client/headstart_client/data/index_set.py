"""A set of shard indices that stays small: shards are made nearly in order, so they form few runs."""

import bisect
from collections.abc import Iterable, Iterator


class IndexSet:
    """Indices as runs of consecutive ones. One thread adds, any may read."""

    def __init__(self, runs: Iterable[tuple[int, int]] = ()) -> None:
        """Takes (first, end) pairs in ascending order, which may touch but not overlap; `end` is beyond the last."""
        joined: list[tuple[int, int]] = []
        for first, end in runs:
            if joined and joined[-1][1] == first:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((first, end))
        # Replaced as a whole by `add`, so that who reads meanwhile sees one state or the other.
        self._runs = joined

    @classmethod
    def of(cls, indices: Iterable[int]) -> "IndexSet":
        """The set of these, each given once, in any order."""
        return cls((index, index + 1) for index in sorted(indices))

    @property
    def runs(self) -> tuple[tuple[int, int], ...]:
        """The runs in ascending order, each its first index and the one beyond its last."""
        return tuple(self._runs)

    @property
    def watermark(self) -> int:
        """Number of indices without a gap, from 0."""
        runs = self._runs
        return runs[0][1] if runs and runs[0][0] == 0 else 0

    def add(self, index: int) -> None:
        """Adds one that is not in it yet."""
        runs = self._runs
        place = bisect.bisect_right(runs, (index, index))
        before = runs[place - 1] if place and runs[place - 1][1] == index else None
        after = runs[place] if place < len(runs) and runs[place][0] == index + 1 else None
        joined = (before[0] if before else index, after[1] if after else index + 1)
        self._runs = [*runs[: place - bool(before)], joined, *runs[place + bool(after) :]]

    def after(self, index: int, limit: int) -> list[int]:
        """The first `limit` beyond `index`, in order."""
        found: list[int] = []
        runs = self._runs
        for first, end in runs[max(0, bisect.bisect_right(runs, (index + 1,)) - 1) :]:
            start = max(first, index + 1)
            found.extend(range(start, min(end, start + limit - len(found))))
            if len(found) >= limit:
                break
        return found

    def missing(self, end: int) -> Iterator[int]:
        """The indices below `end` that are not in the set, in order."""
        runs = self._runs
        for (_, begin), (until, _) in zip([(0, 0), *runs], [*runs, (end, end)], strict=True):
            yield from range(begin, min(until, end))

    def has_all(self, indices: range) -> bool:
        """Whether it has all of some consecutive ones."""
        runs = self._runs
        place = bisect.bisect_right(runs, (indices.start + 1,)) - 1
        return place >= 0 and runs[place][0] <= indices.start and indices.stop <= runs[place][1]

    def __contains__(self, index: int) -> bool:
        return self.has_all(range(index, index + 1))

    def __len__(self) -> int:
        return sum(end - first for first, end in self._runs)

    def __iter__(self) -> Iterator[int]:
        for first, end in self._runs:
            yield from range(first, end)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IndexSet) and self._runs == other._runs

    __hash__ = None  # type: ignore[assignment]
