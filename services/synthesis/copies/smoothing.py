"""Commands of demonstrations, smoothed as far as a tolerance allows.

The smoothed values x minimize |x - y|^2 + weight * |third differences of x|^2 (Whittaker 1923; Eilers 2003, "A perfect
smoother"), with the greatest weight of a fixed row for which none is farther from y than the tolerance.
"""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled

FloatArray = NDArray[np.float64]

POSITION_TOLERANCE, ANGLE_TOLERANCE = 5e-4, 2e-3
"""Greatest change of a commanded position [m] and rotation [rad]."""
_WEIGHTS = tuple(10.0**power for power in range(3, -3, -1))


def smoothed(values: FloatArray, tolerance: float) -> FloatArray:
    """Rows of numbers (T, n), smoothed along T; unchanged where not even the least weight keeps the tolerance."""
    if len(values) < 8:
        return values
    for weight in _WEIGHTS:
        found = np.empty_like(values)
        _whittaker(np.ascontiguousarray(values), weight, found)
        if np.sqrt(((found - values) ** 2).sum(1)).max() <= tolerance:
            return found
    return values


@compiled
def _whittaker(y: FloatArray, weight: float, x: FloatArray) -> None:
    """Solves (I + weight D'D) x = y by a banded Cholesky factorization, D being third differences (-1, 3, -3, 1)."""
    n = y.shape[0]
    stencil = np.array([-1.0, 3.0, -3.0, 1.0])
    # band[i, d] is the matrix's entry (i, i - d), then the factor's.
    band = np.zeros((n, 4))
    for i in range(n):
        band[i, 0] = 1.0
    for row in range(n - 3):
        for a in range(4):
            for b in range(a + 1):
                band[row + a, a - b] += weight * stencil[a] * stencil[b]
    for i in range(n):
        for d in range(min(i, 3), -1, -1):
            j, total = i - d, band[i, d]
            for k in range(max(0, i - 3, j - 3), j):
                total -= band[i, i - k] * band[j, j - k]
            band[i, d] = np.sqrt(total) if d == 0 else total / band[j, 0]
    for c in range(y.shape[1]):
        for i in range(n):
            total = y[i, c]
            for k in range(max(0, i - 3), i):
                total -= band[i, i - k] * x[k, c]
            x[i, c] = total / band[i, 0]
        for i in range(n - 1, -1, -1):
            total = x[i, c]
            for k in range(i + 1, min(n, i + 4)):
                total -= band[k, k - i] * x[k, c]
            x[i, c] = total / band[i, 0]
