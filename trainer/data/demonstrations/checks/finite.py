"""Numbers that are none."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.demonstrations.checks.faults import ColumnFault


def require_finite(array: NDArray[Any], name: str) -> None:
    """Raises ColumnFault at the first number of (T, ...) that is NaN or infinite, saying where it is."""
    if not np.isfinite(array).all():
        step, *rest = np.argwhere(~np.isfinite(array))[0]
        column = f", column {rest[0]}" if rest else ""
        raise ColumnFault("not finite", f"'{name}' is not finite at step {step}{column}")
