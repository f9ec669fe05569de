"""What a copy of a demonstration says beside what every row says: whose copy it is, and what its segments are."""

import functools
import json
from dataclasses import dataclass
from typing import Any

from services.memory import trim
from shared.dataset import Dataset
from shared.demonstrated_motions import FIXED, FREE, DemonstratedMotions, Segment
from shared.motions_file import motions_of

_KEPT = 8
"""Datasets; some megabytes each at most."""


@dataclass(frozen=True)
class Demonstrated:
    """Demonstrations that rows are copies of.

    Attributes:
        objects: names of what the task is about.
        demonstrations: each one's name and segments, as the JSON of a DemonstrationBody.
    """

    objects: tuple[str, ...]
    demonstrations: tuple[str, ...]

    @classmethod
    def of(cls, motions: DemonstratedMotions) -> "Demonstrated":
        """Those of a motions file."""
        objects = tuple(thing.name for thing in motions.objects)
        texts = (
            json.dumps({"name": motion.name, "segments": [_segment(objects, one) for one in motion.segments]})
            for motion in motions.motions
        )
        return cls(objects, tuple(texts))


@functools.lru_cache(_KEPT)
def demonstrated(dataset: Dataset) -> Demonstrated | None:
    """What a dataset's rows are copies of, or None if they are of none; read once and then remembered.

    Raises DatasetFormatError if the motions file is missing or another one.
    """
    motions = motions_of(dataset)
    if motions is None:
        return None
    found = Demonstrated.of(motions)
    del motions
    # Else the process keeps tens of megabytes of what was unpacked.
    trim()
    return found


def _segment(objects: tuple[str, ...], segment: Segment) -> dict[str, Any]:
    if segment.relative_to in (FREE, FIXED):
        return {"kind": "free" if segment.relative_to == FREE else "fixed", "object": None}
    return {"kind": "object", "object": objects[segment.relative_to]}
