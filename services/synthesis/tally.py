"""How many candidates of a shard became rows, and why the others, and ends that were drawn anew, did not."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from services.synthesis.candidates import Batch
from services.synthesis.checks import validation
from services.synthesis.request.families import FAMILIES
from shared.errors import SynthesisError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class Tally:
    """Counts of candidates by family, of the rejected ones and of redrawn ends by family and reason."""

    def __init__(self) -> None:
        self._tried = np.zeros(len(FAMILIES), np.int64)
        self._accepted = np.zeros(len(FAMILIES), np.int64)
        self._rejected: dict[str, Counter[str]] = {}
        self._redrawn: dict[str, Counter[str]] = {}
        self._failed: dict[int, Counter[str]] = {}
        """Of trajectories without an accepted candidate so far: both together, by reason."""

    def add(self, batch: Batch, counted: BoolArray) -> None:
        """Counts some candidates of a batch, `counted` of shape (n,)."""
        ids, family, accepted = batch.candidates.ids, batch.candidates.family, counted & (batch.reasons == "")
        self._tried += np.bincount(family[counted], minlength=len(FAMILIES))
        self._accepted += np.bincount(family[accepted], minlength=len(FAMILIES))
        for row in np.flatnonzero(counted & ~accepted):
            self._rejected.setdefault(FAMILIES[family[row]], Counter())[batch.reasons[row]] += 1
            self._failed.setdefault(int(ids[row]), Counter())[batch.reasons[row]] += 1
        for row, reason in zip(batch.redrawn.candidate.tolist(), batch.redrawn.reason, strict=True):
            if counted[row]:
                self._redrawn.setdefault(FAMILIES[family[row]], Counter())[reason] += 1
                if not accepted[row]:
                    self._failed[int(ids[row])][reason] += 1
        for trajectory in ids[accepted].tolist() if self._failed else []:
            self._failed.pop(trajectory, None)

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

    @property
    def redraws_by_family(self) -> dict[str, dict[str, int]]:
        """Ends drawn anew by family and reason."""
        return {family: dict(sorted(counts.items())) for family, counts in sorted(self._redrawn.items())}

    @property
    def candidates_per_row(self) -> FloatArray:
        """How many candidates of each family there are to an accepted one, or to the first that is still to come."""
        return np.asarray(self._tried / np.maximum(self._accepted, 1))

    def has_rows(self, family: int) -> bool:
        """Whether any candidate of this family, an index into FAMILIES, was accepted."""
        return bool(self._accepted[family])

    def given_up(self, trajectory: int, candidates: int) -> SynthesisError:
        """The error of a trajectory none of whose candidates was accepted: with counts of that trajectory alone."""
        happened = f"none of {candidates} candidates of trajectory {trajectory} was accepted"
        return not_accepted(happened, self._failed[trajectory])


def not_accepted(happened: str, failed: Counter[str]) -> SynthesisError:
    """What happened, with what to change for the commonest reason of draws that failed.

    A redrawn end counts like a rejected candidate here: both are draws that failed.
    """
    reason, count = min(failed.items(), key=lambda item: (-item[1], item[0]))
    text = f"{happened}; {count} of {failed.total()} rejections were {reason!r}: {validation.ADVICE[reason]}"
    return SynthesisError(text, failed.total(), dict(sorted(failed.items())))
