"""How many candidates of a shard became rows, and why the others, and ends that were drawn anew, did not."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from services.synthesis.checks import validation
from services.synthesis.request.families import FAMILIES
from shared.errors import SynthesisError

IntArray = NDArray[np.int64]
Texts = NDArray[np.object_]

HOPELESS_AFTER = 2000
"""Candidates of one family rejected, or draws of one of its waypoints that failed, in a shard, without one accepted
before the request is called impossible."""
_WIDTH = 1000
"""More than the waypoints of any candidate."""


class Tally:
    """Counts of candidates by family, of the rejected ones and of redrawn ends by family and reason."""

    def __init__(self) -> None:
        self._tried = np.zeros(len(FAMILIES), np.int64)
        self._rejected: dict[str, Counter[str]] = {}
        self._redrawn: dict[str, Counter[str]] = {}
        self._found: set[int] = set()
        self._missed: Counter[int] = Counter()

    def add(self, family: IntArray, reasons: list[str]) -> None:
        """Counts candidates of families (n,), indices into FAMILIES; a reason is "" where a candidate was accepted."""
        self._tried += np.bincount(family, minlength=len(FAMILIES))
        for index, reason in zip(family.tolist(), reasons, strict=True):
            if reason:
                self._rejected.setdefault(FAMILIES[index], Counter())[reason] += 1
        for name, counts in self._rejected.items():
            tried = int(self._tried[FAMILIES.index(name)])
            if tried >= HOPELESS_AFTER and counts.total() == tried:
                raise self._hopeless(name)

    def add_redraws(self, family: IntArray, reasons: Texts) -> None:
        """Counts ends that are drawn anew, of candidates of families (m,), for reasons (m,)."""
        for index, reason in zip(family.tolist(), reasons, strict=True):
            self._redrawn.setdefault(FAMILIES[index], Counter())[reason] += 1

    def add_draws(self, family: IntArray, waypoint: IntArray, free: NDArray[np.bool_]) -> None:
        """Takes note of which waypoints (m,) of which families (m,) can be free at all, shape (m,).

        Raises SynthesisError if one never was in so many draws.
        """
        key = family * _WIDTH + waypoint
        self._found.update(key[free].tolist())
        self._missed.update(key[~free].tolist())
        for place, count in self._missed.items():
            if count >= HOPELESS_AFTER and place not in self._found:
                raise self._hopeless(FAMILIES[place // _WIDTH])

    @property
    def tried(self) -> int:
        """Candidates."""
        return int(self._tried.sum())

    @property
    def rejections(self) -> dict[str, int]:
        """Rejected candidates by reason."""
        return dict(sorted(_sum(self._rejected).items()))

    @property
    def rejections_by_family(self) -> dict[str, dict[str, int]]:
        """Rejected candidates by family and reason."""
        return {family: dict(sorted(counts.items())) for family, counts in sorted(self._rejected.items())}

    @property
    def redraws_by_family(self) -> dict[str, dict[str, int]]:
        """Ends drawn anew by family and reason."""
        return {family: dict(sorted(counts.items())) for family, counts in sorted(self._redrawn.items())}

    def error(self, happened: str, family: str | None = None) -> SynthesisError:
        """What happened, and what to change for the commonest reason, of all that failed or of what did of a family.

        A redrawn end counts like a rejected candidate here: both are draws that failed.
        """
        failed = _sum(self._rejected) + _sum(self._redrawn)
        of_family = failed if family is None else self._failed(family)
        reason, count = of_family.most_common(1)[0]
        text = f"{happened}; {count} of {of_family.total()} rejections were {reason!r}: {validation.ADVICE[reason]}"
        attempts = self.tried + _sum(self._redrawn).total()
        return SynthesisError(text, attempts, dict(sorted(failed.items())))

    def _hopeless(self, family: str) -> SynthesisError:
        failed = self._failed(family).total()
        return self.error(f"none of {failed} candidates of family {family!r} was accepted", family)

    def _failed(self, family: str) -> Counter[str]:
        return self._rejected.get(family, Counter()) + self._redrawn.get(family, Counter())


def _sum(counts: dict[str, Counter[str]]) -> Counter[str]:
    return sum(counts.values(), Counter[str]())
