"""Trajectories of a shard that are still to be made, and which of their candidates are made next.

What becomes of a trajectory is a function of its id, so the order is free; it decides only how soon a request is known
to be impossible, and how much is made at once.
"""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.candidates import Batch
from services.synthesis.request.trajectory_request import TrajectoryRequest
from services.synthesis.tally import Tally

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

MAX_ATTEMPTS = 1000
"""Candidates of one trajectory before it is given up, and the request with it."""
BATCH_SAMPLES = 2**17
"""Samples, or so, that are made together: few batches for many short rows, and bounded memory for long ones."""
LARGEST_BATCH = 2048
"""Candidates worked on together, at most."""
_HARD = 128.0
"""Candidates for a row of a family before its trajectories are made one after another."""
_UNKNOWN = -1


def batch_size(request: TrajectoryRequest, rows: int = 0, samples: int = 0) -> int:
    """Candidates that are made together next, from how many samples so many rows before them had."""
    of_each = samples / rows if rows else request.expected_row_s * request.rate_hz
    return max(1, min(int(BATCH_SAMPLES / of_each), LARGEST_BATCH))


class Pending:
    """Trajectories of which no candidate is accepted yet.

    Each has one candidate made in turn, in the order of their ids. Those of a family of which hardly any candidate is
    accepted are made from the lowest id on, with many candidates of each at once: so it takes the candidates of one
    trajectory to learn that it is to be given up, and not as many of all of them.

    Attributes:
        given_up: the lowest trajectory of which MAX_ATTEMPTS candidates were rejected; None if there is none.
    """

    def __init__(self, ids: IntArray) -> None:
        """Takes the trajectories to make, shape (n,), in order."""
        self._ids, self._attempts = ids, np.zeros(len(ids), np.int64)
        self._family = np.full(len(ids), _UNKNOWN)
        self.given_up: int | None = None

    def __len__(self) -> int:
        return len(self._ids)

    def take(self, size: int, tally: Tally) -> tuple[IntArray, IntArray]:
        """Takes trajectories out; ids and attempts of so many candidates of them, or fewer, those of each together."""
        needed = tally.candidates_per_row
        hard = np.flatnonzero((self._family != _UNKNOWN) & (needed[self._family] > _HARD))
        if not len(hard):
            return self._out(np.arange(min(size, len(self))), 1)
        lowest = hard[np.argsort(self._ids[hard])]
        family = int(self._family[lowest[0]])
        lowest = lowest[self._family[lowest] == family]
        # Half as many as a row needs: few are made in vain after the one that is accepted.
        each = min(size, int(needed[family] / 2))
        return self._out(lowest[: size // each if tally.has_rows(family) else 1], each)

    def settle(self, batch: Batch, counted: BoolArray) -> None:
        """Puts back the trajectories of a batch of which no candidate that counts (n,) was accepted."""
        ids, attempts, family = batch.candidates.ids, batch.candidates.attempts, batch.candidates.family
        last = np.flatnonzero(counted & np.append(ids[1:] != ids[:-1], True))
        rejected = last[batch.reasons[last] != ""]
        spent = rejected[attempts[rejected] + 1 >= MAX_ATTEMPTS]
        if len(spent):
            lowest = int(ids[spent].min())
            self.given_up = lowest if self.given_up is None else min(lowest, self.given_up)
        self._ids = np.concatenate([self._ids, ids[rejected]])
        self._attempts = np.concatenate([self._attempts, attempts[rejected] + 1])
        self._family = np.concatenate([self._family, family[rejected]])
        if self.given_up is not None:
            # Only those before it can change which is the lowest.
            self._keep(self._ids < self.given_up)

    def _out(self, places: IntArray, each: int) -> tuple[IntArray, IntArray]:
        """Takes the trajectories at these places out, with the next `each` candidates of each."""
        ids, attempts = self._ids[places], self._attempts[places]
        kept = np.ones(len(self), np.bool_)
        kept[places] = False
        self._keep(kept)
        counts = np.minimum(each, MAX_ATTEMPTS - attempts)
        steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(ids, counts), np.repeat(attempts, counts) + steps

    def _keep(self, kept: BoolArray) -> None:
        self._ids, self._attempts, self._family = self._ids[kept], self._attempts[kept], self._family[kept]
