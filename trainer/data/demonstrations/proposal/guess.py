"""Which readings of a data set agree with it, and what is known by that: an answer, or a question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

AS_GOOD = 3.0
"""A reading that is less than this many times as far from agreement as the nearest one is as good as that."""

Key = tuple[str, str]
"""Table and key of the mapping."""


@dataclass(frozen=True, eq=False)
class Solution:
    """Readings that were tried together.

    Attributes:
        values: what the mapping would say, by table and key.
        distance: how far what they read is from agreement; positions in m and angles in rad are added.
    """

    values: Mapping[Key, Any]
    distance: float


@dataclass(frozen=True, eq=False)
class Guess:
    """What is known of one key of the mapping.

    Attributes:
        key: its table and name.
        readings: the answer, if it is one; those that agree equally well, if there are more; none agrees, if none.
        why: the evidence, or the reason why it can't be told.
        unchecked: whether it is but the usual reading, and nothing in the data set could contradict it.
    """

    key: Key
    readings: tuple[Any, ...]
    why: str
    unchecked: bool = False

    @property
    def is_sure(self) -> bool:
        """Whether it is an answer."""
        return len(self.readings) == 1 and not self.unchecked


def agreeing(solutions: Sequence[Solution], near: float, floor: float) -> list[Solution]:
    """The solutions that agree, nearest first: within `near`, and as good as the nearest, or within `floor`."""
    ordered = sorted(solutions, key=lambda one: one.distance)
    if not ordered or ordered[0].distance > near:
        return []
    least = max(AS_GOOD * ordered[0].distance, floor)
    return [one for one in ordered if one.distance <= least]


def settle(solutions: Sequence[Solution], near: float, floor: float, what: str) -> list[Guess]:
    """What agreement says of each key of the solutions, all of which have the same.

    Args:
        solutions: at least one.
        near: how far from agreement one may be.
        floor: below this, differences mean nothing.
        what: the evidence, in words.
    """
    alike = agreeing(solutions, near, floor)
    if not alike:
        nearest = min(one.distance for one in solutions)
        why = f"no reading agrees with {what}: the nearest is {nearest:.3g} away"
        return [Guess(key, (), why) for key in solutions[0].values]
    best, found = alike[0], []
    for key, value in best.values.items():
        readings = distinct([one.values[key] for one in alike])
        others = [one.distance for one in solutions if one.values[key] != value]
        beside = f"; the next reading is {min(others):.2g} away" if others else "; nothing else is possible"
        if len(readings) > 1:
            together = ", one each with those of the other keys, in this order" if len(readings) == len(alike) else ""
            beside = f" by {len(readings)} readings{together}"
        why = f"{what} agree within {best.distance:.2g}{beside}"
        found.append(Guess(key, readings, why))
    return found


def distinct(values: Sequence[Any]) -> tuple[Any, ...]:
    """Each value once, in order."""
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return tuple(found)
