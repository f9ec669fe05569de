"""Sums that every Python rounds alike."""

import functools
import operator
from collections.abc import Iterable


def plain_sum(values: Iterable[float]) -> float:
    """The sum of numbers, added one by one from the first; 0 of none.

    The built-in `sum` does the same up to Python 3.11; from 3.12 on it carries rounding errors along, so that its last
    digits differ. What decides a row or a window is added up by this instead.
    """
    return functools.reduce(operator.add, values, 0.0)
