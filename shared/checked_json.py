"""Values of a JSON document that anyone may have written: each checked for kind, size and bounds.

Every function takes the JSON pointer of its value and raises SummaryError with it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import SummaryError

FloatArray = NDArray[np.float64]


def checked_object(value: Any, where: str, keys: set[str]) -> Mapping[str, Any]:
    """The JSON object that has exactly these keys."""
    if not isinstance(value, dict):
        raise SummaryError(where, "must be a JSON object")
    for name in sorted(keys ^ value.keys()):
        detail = "this key is required" if name in keys else "unknown key; remove it or correct its spelling"
        raise SummaryError(f"{where}/{name:.40}", detail)
    return value


def checked_text(value: Any, where: str) -> str:
    """A short printable text."""
    if not isinstance(value, str) or not 1 <= len(value) <= 100 or not value.isprintable():
        raise SummaryError(where, "must be 1 to 100 printable characters")
    return value


def checked_whole(value: Any, where: str, least: int, most: int) -> int:
    """A whole number within bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise SummaryError(where, f"must be a whole number from {least} to {most}")
    return value


def checked_array(value: Any, where: str, shape: tuple[int | None, ...], least: float, most: float) -> FloatArray:
    """Finite numbers within bounds. None in `shape` is any length."""
    try:
        array = np.array(value)
    except (ValueError, RecursionError):
        array = np.empty(0, object)
    # Text, null and true are no numbers, and integers beyond 64 bits become objects.
    if (array.size and array.dtype.kind not in "iuf") or _has_booleans(value):
        raise SummaryError(where, f"must be numbers of shape {_say(shape)}")
    if len(array.shape) != len(shape) or any(want not in (None, n) for want, n in zip(shape, array.shape, strict=True)):
        raise SummaryError(where, f"has shape {array.shape}, must have {_say(shape)}")
    numbers = array.astype(np.float64)
    if not ((numbers >= least) & (numbers <= most)).all():
        raise SummaryError(where, f"must be finite numbers from {least:g} to {most:g}")
    return numbers


def _has_booleans(value: Any) -> bool:
    """NumPy takes a list of booleans among numbers for numbers."""
    if isinstance(value, list):
        return any(_has_booleans(item) for item in value)
    return isinstance(value, bool)


def _say(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
