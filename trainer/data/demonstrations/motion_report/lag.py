"""How long after a command an arm is where it was told to be."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data.demonstrations.checks.plausibility import MOST_DELAY

FloatArray = NDArray[np.float64]
Pair = tuple[FloatArray, FloatArray]
"""What is commanded and what is observed in an episode, (T, n) each: joints [rad or m], or positions [m]."""

_LEAST_STEPS = 8
_EXPLAINED = 0.8
"""Share of the motion that commands must explain at the best delay; with less, there is none that means something."""
_MOVES = 1e-3
"""An episode whose numbers all spread by less [rad or m] says nothing of a delay."""


@dataclass(frozen=True)
class Lag:
    """How much later than commands motion is.

    Attributes:
        steps: of all episodes together, with a fraction.
        least: of single episodes.
        most: likewise.
    """

    steps: float
    least: float
    most: float


def lag_of(pairs: Sequence[Pair], rate_hz: float) -> Lag | None:
    """The lag of what is observed before each command is given; None where no delay up to half a second explains it."""
    most = int(MOST_DELAY * rate_hz)
    known = [pair for pair in pairs if len(pair[0]) >= most + _LEAST_STEPS and _moves(pair)]
    alone = [found for pair in known if (found := _best([pair], most)) is not None]
    whole = _best(known, most)
    return None if whole is None or not alone else Lag(whole, min(alone), max(alone))


def delayed(commanded: FloatArray, steps: float) -> FloatArray:
    """Commands (T, n) so many steps later, the first one before them."""
    at = np.maximum(np.arange(len(commanded)) - steps, 0.0)
    before = np.floor(at).astype(np.int64)
    after = np.minimum(before + 1, len(commanded) - 1)
    share = (at - before)[:, None]
    return np.asarray(commanded[before] * (1 - share) + commanded[after] * share)


def _moves(pair: Pair) -> bool:
    return min(float(np.ptp(one, axis=0).max()) for one in pair) > _MOVES


def _best(pairs: Sequence[Pair], most: int) -> float | None:
    """The delay, between whole steps too, at which commands and observations differ least but for a constant."""
    best, least, motion = 0.0, np.inf, 0.0
    for _, observed in pairs:
        motion += _squares(observed[most:], observed[most:])
    for steps in range(most):
        a, ab, b = 0.0, 0.0, 0.0
        for commanded, observed in pairs:
            end = len(commanded)
            early = commanded[most - steps : end - steps] - observed[most:]
            late = commanded[most - steps - 1 : end - steps - 1] - observed[most:]
            a, ab, b = a + _squares(early, early), ab + _squares(early, late), b + _squares(late, late)
        # Of (1 - f) * early + f * late, which is what commands in between would leave.
        bend = a - 2 * ab + b
        share = float(np.clip((a - ab) / bend, 0.0, 1.0)) if bend > 0 else 0.0
        left = (1 - share) ** 2 * a + 2 * share * (1 - share) * ab + share**2 * b
        if left < least:
            best, least = steps + share, left
    return best if motion > 0 and 1 - least / motion > _EXPLAINED else None


def _squares(a: FloatArray, b: FloatArray) -> float:
    """Sum of products, without the mean of each number."""
    return float(((a - a.mean(axis=0)) * (b - b.mean(axis=0))).sum())
