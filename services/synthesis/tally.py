"""How many candidates of a shard became rows, and why the others did not."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from services.synthesis.checks import validation
from services.synthesis.request.families import FAMILIES
from shared.errors import SynthesisError

IntArray = NDArray[np.int64]


class Tally:
    """Counts of candidates by family, and of the rejected ones by family and reason."""

    def __init__(self) -> None:
        self._tried = np.zeros(len(FAMILIES), np.int64)
        self._rejected: dict[str, Counter[str]] = {}

    def add(self, family: IntArray, reasons: list[str]) -> None:
        """Counts candidates of families (n,), indices into FAMILIES; a reason is "" where a candidate was accepted."""
        self._tried += np.bincount(family, minlength=len(FAMILIES))
        for index, reason in zip(family.tolist(), reasons, strict=True):
            if reason:
                self._rejected.setdefault(FAMILIES[index], Counter())[reason] += 1

    @property
    def tried(self) -> int:
        """Candidates."""
        return int(self._tried.sum())

    @property
    def rejections(self) -> dict[str, int]:
        """Rejected candidates by reason."""
        return dict(sorted(sum(self._rejected.values(), Counter[str]()).items()))

    @property
    def rejections_by_family(self) -> dict[str, dict[str, int]]:
        """Rejected candidates by family and reason."""
        return {family: dict(sorted(counts.items())) for family, counts in sorted(self._rejected.items())}

    def give_up_on_hopeless(self, after: int) -> None:
        """Raises SynthesisError if so many candidates of one family were all rejected."""
        for family, counts in self._rejected.items():
            tried = int(self._tried[FAMILIES.index(family)])
            if tried >= after and counts.total() == tried:
                raise self.error(f"none of {tried} candidates of family {family!r} was accepted", counts)

    def error(self, happened: str, counts: Counter[str] | None = None) -> SynthesisError:
        """What happened, and what to change for the commonest reason, of all rejections or of those given."""
        counts = sum(self._rejected.values(), Counter[str]()) if counts is None else counts
        reason, count = counts.most_common(1)[0]
        text = f"{happened}; {count} of {counts.total()} rejections were {reason!r}: {validation.ADVICE[reason]}"
        return SynthesisError(text, self.tried, self.rejections)
