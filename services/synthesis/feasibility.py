"""Whether a request can be made at all: its first candidates are made before any shard, and if none of a family is
accepted, it is given up at once.

They are the same for every shard, part and worker, so all of them say the same, in the same words.
"""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import robot_model
from services.synthesis.candidates import Batch, make_batch
from services.synthesis.draw.identity import draw_identities
from services.synthesis.pending import MAX_ATTEMPTS, batch_size
from services.synthesis.ranges import action_range
from services.synthesis.request.families import FAMILIES
from services.synthesis.request.trajectory_request import TrajectoryRequest
from services.synthesis.tally import not_accepted
from shared.errors import SynthesisError

IntArray = NDArray[np.int64]
Texts = NDArray[np.object_]

TRIES = 2000
"""Candidates of a family that are made, or draws of one of its waypoints that fail, before the request is called
impossible."""
_LOOKED_AT = 1024
"""Trajectories among which those of each family are looked for. A family that has none of them is not tried."""
_TRAJECTORIES = 16
"""Of each family that are tried, at most."""
_BATCH = 256
"""Candidates of a family that are made together, at most."""
_KEPT = 64
_feasible: dict[str, None] = {}
"""Requests of which this is known, by dataset_id: those looked at last."""


class _Tries:
    """What became of the first candidates of one family.

    Attributes:
        made: candidates so far.
        failed: rejected candidates and redrawn ends by reason.
        found: waypoints that were free once.
        missed: of each of the others, draws that failed by reason.
    """

    def __init__(self, family: int, ids: IntArray) -> None:
        """Takes an index into FAMILIES, and trajectories of this family."""
        self._family, self._ids = family, ids
        self.made = 0
        self.failed = Counter[str]()
        self.found = set[int]()
        self.missed: dict[int, Counter[str]] = {}

    def take(self, most: int) -> tuple[IntArray, IntArray]:
        """Ids and attempts of the next candidates: more each time, as many as `most`."""
        places = self.made + np.arange(min(self.made + 1, most))
        self.made += len(places)
        return self._ids[places % len(self._ids)], places // len(self._ids)

    def look(self, waypoint: IntArray, reasons: Texts) -> None:
        """Takes note of draws (m,) of its waypoints. Raises SynthesisError if those of one were never free."""
        self.found.update(waypoint[reasons == ""].tolist())
        for place, reason in zip(waypoint.tolist(), reasons, strict=True):
            if place not in self.found:
                self.missed.setdefault(place, Counter())[reason] += 1
        for place, counts in self.missed.items():
            if place not in self.found and counts.total() >= TRIES:
                raise self._hopeless(counts)

    def is_accepted(self, batch: Batch) -> bool:
        """Whether one of its candidates of a batch was. Raises SynthesisError if there were enough without."""
        of_family = batch.candidates.family == self._family
        if (batch.reasons[of_family] == "").any():
            return True
        self.failed.update(batch.reasons[of_family].tolist())
        self.failed.update(batch.redrawn.reason[of_family[batch.redrawn.candidate]].tolist())
        if self.made >= min(TRIES, len(self._ids) * MAX_ATTEMPTS):
            raise self._hopeless(self.failed)
        return False

    def _hopeless(self, counts: Counter[str]) -> SynthesisError:
        name = FAMILIES[self._family]
        return not_accepted(f"none of {counts.total()} candidates of family {name!r} was accepted", counts)


def check_feasible(request: TrajectoryRequest) -> None:
    """Makes the first candidates of each family until one is accepted, once for a request in this process.

    Raises SynthesisError if none of a family is, or none of the draws of one of its waypoints is free.
    """
    if request.dataset_id in _feasible:
        return
    ids = np.arange(min(request.count, _LOOKED_AT))
    family = draw_identities(request.families, request.seed, ids).family
    tries = {int(name): _Tries(int(name), ids[family == name][:_TRAJECTORIES]) for name in np.unique(family)}
    while tries:
        most = max(1, min(_BATCH, batch_size(request) // len(tries)))
        of_each = [one.take(most) for one in tries.values()]
        drawn, attempts = (np.concatenate(parts) for parts in zip(*of_each, strict=True))
        batch = make_batch(
            request,
            robot_model(request.arm),
            action_range(request),
            drawn,
            attempts,
            lambda *draws: _look(tries, *draws),
        )
        for name, one in list(tries.items()):
            if one.is_accepted(batch):
                del tries[name]
    _feasible[request.dataset_id] = None
    if len(_feasible) > _KEPT:
        _feasible.pop(next(iter(_feasible)), None)


def _look(tries: dict[int, _Tries], family: IntArray, waypoint: IntArray, reasons: Texts) -> None:
    """Takes note of draws (m,) of waypoints of families, as Ends says of them. Raises SynthesisError."""
    for name, one in tries.items():
        one.look(waypoint[family == name], reasons[family == name])
