"""Uniform numbers of a few targets that are drawn anew, in compiled code: redraws come in rounds of a few dozen.

They are those of shared.philox, whose calls of NumPy cost more for so few than the numbers themselves.
"""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
UInt64Array = NDArray[np.uint64]

_MULTIPLIERS = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_WEYL = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_ROUNDS = 10
_LOW, _HALF, _ONE, _SPARE = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(1), np.uint64(11)


def redrawn_uniform(
    seed: int, ids: IntArray, attempts: IntArray, waypoint: IntArray, count: IntArray, n: int
) -> FloatArray:
    """`philox_uniform(seed, ids, 1 + attempts, n, (waypoint, count))`, all arrays of shape (m,), shape (m, n)."""
    words = np.empty((len(ids), n))
    streams = np.stack([ids, waypoint, count, 1 + attempts]).astype(np.uint64)
    _fill(np.uint64(seed), streams, words)
    return words


@compiled
def _fill(seed: np.uint64, streams: UInt64Array, words: FloatArray) -> None:
    """Fills in the words of streams (4, m): of each its id and, from the second on, the words of its counter."""
    for i in range(words.shape[0]):
        block = np.uint64(0)
        for begin in range(0, words.shape[1], 4):
            block += _ONE
            a, b, c, d = block, streams[1, i], streams[2, i], streams[3, i]
            key, other = seed, streams[0, i]
            for _ in range(_ROUNDS):
                high, low = _high(_MULTIPLIERS[0], a), _MULTIPLIERS[0] * a
                second_high, second_low = _high(_MULTIPLIERS[1], c), _MULTIPLIERS[1] * c
                a, b, c, d = second_high ^ b ^ key, second_low, high ^ d ^ other, low
                key, other = key + _WEYL[0], other + _WEYL[1]
            for k, word in enumerate((a, b, c, d)):
                if begin + k < words.shape[1]:
                    words[i, begin + k] = np.float64(word >> _SPARE) * 2.0**-53


@compiled
def _high(a: np.uint64, b: np.uint64) -> np.uint64:
    """The upper 64 bits of a product, by 32-bit halves."""
    a_low, a_high, b_low, b_high = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    middle = b_low * a_high + (b_low * a_low >> _HALF)
    carry = b_high * a_low + (middle & _LOW)
    return np.uint64(b_high * a_high + (middle >> _HALF) + (carry >> _HALF))
