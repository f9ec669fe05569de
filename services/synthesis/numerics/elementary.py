"""Functions of one number that every processor computes alike, bit for bit.

NumPy and the C library choose among several implementations by the processor, whose last digits differ; what decides a
row is computed by these instead. They are built from operations that IEEE 754 rounds in one way: + - * / and sqrt.
"""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled, inlined

FloatArray = NDArray[np.float64]

# Cody-Waite split of pi/2 and minimax coefficients of sine and cosine on [-pi/4, pi/4] and of the arctangent, from
# fdlibm (Sun Microsystems, 1993; k_sin.c, k_cos.c, e_rem_pio2.c, s_atan.c). The first part of pi/2 has 33 bits, so
# k * part is exact.
_TWO_OVER_PI = 6.36619772367581382433e-01
_PIO2_1, _PIO2_2 = 1.57079632673412561417e00, 6.07710050630396597660e-11
_PIO2_3 = 2.02226624879595063154e-21
_S1, _S2, _S3 = -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04
_S4, _S5, _S6 = 2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10
_C1, _C2, _C3 = 4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05
_C4, _C5, _C6 = -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11
_A0, _A2, _A4 = 3.33333333333329318027e-01, 1.42857142725034663711e-01, 9.09088713343650656196e-02
_A6, _A8, _A10 = 6.66107313738753120669e-02, 4.97687799461593236017e-02, 1.62858201153657823623e-02
_A1, _A3, _A5 = -1.99999999998764832476e-01, -1.11111104054623557880e-01, -7.69187620504482999495e-02
_A7, _A9 = -5.83357013379057348645e-02, -3.65315727442169155270e-02
_TERMS = 24
"""Of the series of exponential and logarithm: enough for arguments up to 1, and bases up to 2."""


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
def angle_of(sine: float, cosine: float) -> float:
    """The angle, -pi to pi, whose sine and cosine are these up to a common factor; 0 where both are 0."""
    y, x = abs(sine), abs(cosine)
    if y == 0.0 and x == 0.0:
        return 0.0
    # atan(t) is that of (t - c) / (1 + c t) past the angle whose tangent is c.
    begin, t = 0.0, 0.0
    if 16.0 * y < 7.0 * x:
        t = y / x
    elif 16.0 * y < 19.0 * x:
        begin, t = 0.78539816339744830962, (y - x) / (y + x)
    elif 16.0 * y < 39.0 * x:
        begin, t = 0.98279372324732906799, (y - 1.5 * x) / (x + 1.5 * y)
    else:
        begin, t = 1.57079632679489661923, -x / y
    z = t * t
    w = z * z
    even = z * (_A0 + w * (_A2 + w * (_A4 + w * (_A6 + w * (_A8 + w * _A10)))))
    odd = w * (_A1 + w * (_A3 + w * (_A5 + w * (_A7 + w * _A9))))
    angle = begin + (t - t * (even + odd))
    if cosine < 0.0:
        angle = np.pi - angle
    return -angle if sine < 0.0 else angle


@compiled
def cube_root(x: float) -> float:
    """The cube root of a number that is not negative."""
    if x == 0.0:
        return 0.0
    scale = 1.0
    while x > 1.0:
        x, scale = x * 0.125, scale * 2.0
    while x < 0.125:
        x, scale = x * 8.0, scale * 0.5
    root = 0.4 + 0.6 * x
    for _ in range(6):
        root = (2.0 * root + x / (root * root)) / 3.0
    return root * scale


def sines_cosines(angle: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sines and cosines of angles of magnitude below 1000 [rad], each of the shape of `angle`."""
    sine, cosine = np.empty(angle.size), np.empty(angle.size)
    _sines_cosines(np.ascontiguousarray(angle).reshape(-1), sine, cosine)
    return sine.reshape(angle.shape), cosine.reshape(angle.shape)


def angles_of(sine: FloatArray, cosine: FloatArray) -> FloatArray:
    """The angles of `angle_of`, of arrays of one shape."""
    angle = np.empty(sine.size)
    _angles_of(np.ascontiguousarray(sine).reshape(-1), np.ascontiguousarray(cosine).reshape(-1), angle)
    return angle.reshape(sine.shape)


def cube_roots(x: FloatArray) -> FloatArray:
    """The cube roots of `cube_root`, of the shape of `x`."""
    root = np.empty(x.size)
    _cube_roots(np.ascontiguousarray(x).reshape(-1), root)
    return root.reshape(x.shape)


def powers(base: float, exponent: FloatArray) -> FloatArray:
    """base ** exponent for a base from 1 to 2 and exponents from -1 to 1, of the shape of `exponent`."""
    z, logarithm = (base - 1) / (base + 1), 0.0
    # log(base) is 2 artanh(z).
    for k in range(_TERMS, -1, -1):
        logarithm = logarithm * z * z + 2 / (2 * k + 1)
    y = logarithm * z * exponent
    total = np.ones_like(y)
    for k in range(_TERMS, 0, -1):
        total = 1 + y * total / k
    return total


@compiled
def _sines_cosines(angle: FloatArray, sine: FloatArray, cosine: FloatArray) -> None:
    for i in range(angle.size):
        sine[i], cosine[i] = sincos(angle[i])


@compiled
def _angles_of(sine: FloatArray, cosine: FloatArray, angle: FloatArray) -> None:
    for i in range(angle.size):
        angle[i] = angle_of(sine[i], cosine[i])


@compiled
def _cube_roots(x: FloatArray, root: FloatArray) -> None:
    for i in range(x.size):
        root[i] = cube_root(x[i])
