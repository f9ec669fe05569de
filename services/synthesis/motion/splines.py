"""Cubic splines through equally spaced knots, from rest to rest: motions of piecewise constant jerk.

Between knots a time h apart acceleration is linear, so each interval is one piece. The values at the knots and that
velocity is continuous leave four degrees of freedom; velocity and acceleration are zero at both ends, and in return
the second knot and the last but one are free. With accelerations a_k at the knots, a_0 = a_M = 0, that is
q_1 = q_0 + h^2 a_1 / 6 and a_(k-1) + 4 a_k + a_(k+1) = 6 (q_(k+1) - 2 q_k + q_(k-1)) / h^2 (de Boor, "A practical guide
to splines", ch. 4), where q_1 put in its place takes a_1 out of the equation of knot 2; likewise at the other end.
"""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@compiled
def fit_splines(
    first: IntArray,
    first_knot: IntArray,
    step: FloatArray,
    q: FloatArray,
    start: FloatArray,
    velocity: FloatArray,
    acceleration: FloatArray,
    time: FloatArray,
    jerk: FloatArray,
    middle: FloatArray,
    peaks: FloatArray,
) -> None:
    """Fits m splines, each a row of segments of seven intervals, the last one of as many as are left.

    Args:
        first: first segment of each spline, and the number of segments S, shape (m + 1,). One of M intervals has
            ceil(M / 7).
        first_knot: first knot of each spline, which has M + 1, and the number of knots K, shape (m + 1,); M is at least
            4.
        step: time h between knots, shape (m,) [s].
        q: values at the knots, shape (K, dof). The free ones are replaced by the spline's.
        start: filled with positions where segments begin, shape (S, dof), like `velocity` and `acceleration`.
        velocity: likewise.
        acceleration: likewise.
        time: filled with the duration of each piece, h, or 0 of those that a last segment lacks, shape (S, dof, 7).
        jerk: filled with the jerk of each piece, shape (S, dof, 7).
        middle: filled with positions halfway between knots, shape (K - m, dof).
        peaks: filled with each joint's greatest velocity, acceleration and jerk, shape (m, dof, 3).
    """
    longest = 0
    for i in range(step.size):
        longest = max(longest, first_knot[i + 1] - first_knot[i] - 1)
    ratio, a = np.zeros(longest + 1), np.zeros(longest + 1)
    # Forward elimination of the matrix with rows (1 4 1) is the same for every spline.
    ratio[2] = 0.25
    for k in range(3, longest - 1):
        ratio[k] = 1.0 / (4.0 - ratio[k - 1])
    for i in range(step.size):
        knot, last, h = first_knot[i], first_knot[i + 1] - 1, step[i]
        intervals = last - knot
        for segment in range(first[i], first[i + 1]):
            for joint in range(q.shape[1]):
                for piece in range(7):
                    present = 7 * (segment - first[i]) + piece < intervals
                    time[segment, joint, piece], jerk[segment, joint, piece] = h if present else 0.0, 0.0
        for joint in range(q.shape[1]):
            _accelerations(q[knot : last + 1, joint], h, ratio, a)
            q[knot + 1, joint] = q[knot, joint] + h * h * a[1] / 6.0
            q[last - 1, joint] = q[last, joint] + h * h * a[intervals - 1] / 6.0
            v, v_peak, a_peak, j_peak = 0.0, 0.0, 0.0, 0.0
            for k in range(intervals):
                segment, piece = first[i] + k // 7, k % 7
                if piece == 0:
                    start[segment, joint], velocity[segment, joint] = q[knot + k, joint], v
                    acceleration[segment, joint] = a[k]
                j = (a[k + 1] - a[k]) / h
                jerk[segment, joint, piece] = j
                here, after = q[knot + k, joint], q[knot + k + 1, joint]
                middle[knot - i + k, joint] = (here + after) / 2.0 - h * h * (a[k] + a[k + 1]) / 16.0
                j_peak, a_peak = max(j_peak, abs(j)), max(a_peak, abs(a[k + 1]))
                if a[k] * a[k + 1] < 0.0:
                    v_peak = max(v_peak, abs(v - a[k] * a[k] / (2.0 * j)))
                v += h * (a[k] + a[k + 1]) / 2.0
                v_peak = max(v_peak, abs(v))
            peaks[i, joint, 0], peaks[i, joint, 1], peaks[i, joint, 2] = v_peak, a_peak, j_peak


@compiled
def _accelerations(q: FloatArray, h: float, ratio: FloatArray, a: FloatArray) -> None:
    """Fills a with the accelerations at the knots q (M + 1,), by Thomas's algorithm on knots 2 to M - 2."""
    last = q.size - 1
    factor = 6.0 / (h * h)
    a[0] = 0.0
    for k in range(2, last - 1):
        # Without the free knots: q_1 is replaced by q_0, q_(M-1) by q_M.
        before = q[0] if k == 2 else q[k - 1]
        after = q[last] if k == last - 2 else q[k + 1]
        rhs = factor * (after - 2.0 * q[k] + before)
        a[k] = (rhs - (a[k - 1] if k > 2 else 0.0)) * ratio[k]
    for k in range(last - 3, 1, -1):
        a[k] -= ratio[k] * a[k + 1]
    a[1] = (factor * (q[2] - q[0]) - a[2]) / 6.0
    a[last - 1] = (factor * (q[last - 2] - q[last]) - a[last - 2]) / 6.0
    a[last] = 0.0
