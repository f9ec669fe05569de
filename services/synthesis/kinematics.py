"""Forward kinematics of a serial chain for many configurations at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled, inlined

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class Chain(NamedTuple):
    """A serial chain of hinges and slides. Each joint turns about its frame's z axis, or slides along it.

    Attributes:
        rotation: rotation of each joint's frame in the one before it, then of the tool in the last,
            shape (dof + 1, 3, 3).
        translation: likewise, shape (dof + 1, 3) [m].
        slides: which joints are prismatic, shape (dof,).
    """

    rotation: FloatArray
    translation: FloatArray
    slides: BoolArray


LANES = 64
"""Configurations worked on side by side: the state of a block stays in the first-level cache."""

# Cody-Waite split of pi/2 and minimax coefficients of sine and cosine on [-pi/4, pi/4], from fdlibm (Sun
# Microsystems, 1993; k_sin.c, k_cos.c, e_rem_pio2.c). The first part of pi/2 has 33 bits, so k * part is exact.
_TWO_OVER_PI = 6.36619772367581382433e-01
_PIO2_1, _PIO2_2 = 1.57079632673412561417e00, 6.07710050630396597660e-11
_PIO2_3 = 2.02226624879595063154e-21
_S1, _S2, _S3 = -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04
_S4, _S5, _S6 = 2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10
_C1, _C2, _C3 = 4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05
_C4, _C5, _C6 = -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11


@inlined
def sincos(angle: float) -> tuple[float, float]:
    """Sine and cosine of an angle of magnitude below 1000, within 2 units in the last place; branch-free."""
    k = np.floor(angle * _TWO_OVER_PI + 0.5)
    r = ((angle - k * _PIO2_1) - k * _PIO2_2) - k * _PIO2_3
    z = r * r
    sine = r + r * z * (_S1 + z * (_S2 + z * (_S3 + z * (_S4 + z * (_S5 + z * _S6)))))
    cosine = 1.0 - (0.5 * z - z * z * (_C1 + z * (_C2 + z * (_C3 + z * (_C4 + z * (_C5 + z * _C6))))))
    quadrant = np.int64(k) & 3
    swap = (quadrant & 1) == 1
    first = cosine if swap else sine
    second = sine if swap else cosine
    return (-first if quadrant >= 2 else first), (-second if quadrant == 1 or quadrant == 2 else second)


@compiled
def tool_poses(
    chain: Chain,
    q: NDArray[np.floating],
    position: NDArray[np.floating],
    rotation: NDArray[np.floating],
) -> None:
    """Forward kinematics of the tool.

    Args:
        chain: the arm's.
        q: configurations, shape (n, dof) [rad], or [m] where prismatic.
        position: filled with tool positions in the base frame, shape (n, 3) [m].
        rotation: filled with tool rotation matrices, row by row, shape (n, 9), or with their first two rows, (n, 6).
    """
    n, dof = q.shape
    frame = np.empty((12, LANES))
    cosines, sines = np.empty(LANES), np.empty(LANES)
    for begin in range(0, n, LANES):
        m = min(LANES, n - begin)
        for k in range(12):
            for i in range(m):
                frame[k, i] = 1.0 if k % 4 == 0 and k < 9 else 0.0
        for j in range(dof + 1):
            f, t = chain.rotation[j], chain.translation[j]
            slides = j < dof and chain.slides[j]
            f00, f01, f02, f10, f11, f12 = f[0, 0], f[0, 1], f[0, 2], f[1, 0], f[1, 1], f[1, 2]
            f20, f21, f22, t0, t1, t2 = f[2, 0], f[2, 1], f[2, 2], t[0], t[1], t[2]
            for i in range(m):
                sine, cosine = sincos(q[begin + i, j]) if j < dof and not slides else (0.0, 1.0)
                cosines[i], sines[i] = cosine, sine
            for r in range(3):
                x0, x1, x2, x3 = frame[3 * r], frame[3 * r + 1], frame[3 * r + 2], frame[9 + r]
                for i in range(m):
                    a, b, c = x0[i], x1[i], x2[i]
                    x3[i] += a * t0 + b * t1 + c * t2
                    n0 = a * f00 + b * f10 + c * f20
                    n1 = a * f01 + b * f11 + c * f21
                    x2[i] = a * f02 + b * f12 + c * f22
                    x0[i] = n0 * cosines[i] + n1 * sines[i]
                    x1[i] = n1 * cosines[i] - n0 * sines[i]
                if slides:
                    for i in range(m):
                        x3[i] += x2[i] * q[begin + i, j]
        for i in range(m):
            for k in range(rotation.shape[1]):
                rotation[begin + i, k] = frame[k, i]
            for k in range(3):
                position[begin + i, k] = frame[9 + k, i]
