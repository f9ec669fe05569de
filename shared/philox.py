"""Counter-based random numbers for many streams at once: NumPy's Philox4x64-10, vectorized over keys.

`numpy.random.Philox(key=[a, b], counter=[0, d, e, c])` is the definition; one such generator costs
15 us to make, so drawing a few numbers for each of a million trajectories is done here, bit for bit the same.
Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import numpy as np
from numpy.typing import NDArray

UInt64Array = NDArray[np.uint64]

_MULTIPLIERS = np.array([0xD2E7470EE14C6C93, 0xCA5A826395121157], np.uint64).reshape(2, 1, 1)
_WEYL = np.array([0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B], np.uint64).reshape(2, 1, 1)
_ROUNDS = 10
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox_uint64(
    seed: int,
    ids: NDArray[np.integer],
    counter: int | NDArray[np.integer],
    n: int,
    branch: tuple[int | NDArray[np.integer], int | NDArray[np.integer]] = (0, 0),
) -> UInt64Array:
    """The first `n` words of Philox(key=[seed, id], counter=[0, *branch, counter]) for each id.

    Args:
        seed: first key word, 0 <= seed < 2**64.
        ids: second key word, shape (m,), not negative.
        counter: last counter word, one for all or shape (m,).
        n: words wanted from each stream.
        branch: the two counter words before it, likewise.

    Returns:
        Shape (m, n), equal to `numpy.random.Philox(...).random_raw(n)` for each row.
    """
    blocks = -(-n // 4)
    # Words 0 and 2 of each state, and words 1 and 3: each round multiplies the first two and swaps the pairs.
    even = np.zeros((2, ids.size, blocks), np.uint64)
    odd = np.zeros_like(even)
    # NumPy raises the counter before each block, so the first block has counter word 0 equal to 1.
    even[0] = np.arange(1, blocks + 1, dtype=np.uint64)
    odd[0], even[1], odd[1] = (np.asarray(word, np.uint64).reshape(-1, 1) for word in (*branch, counter))
    key = np.empty((2, ids.size, 1), np.uint64)
    key[0], key[1, :, 0] = np.uint64(seed), ids
    with np.errstate(over="ignore"):
        for _ in range(_ROUNDS):
            high, low = _multiply(_MULTIPLIERS, even)
            even = high[::-1] ^ odd ^ key
            odd = low[::-1]
            key += _WEYL
    words = np.stack([even[0], odd[0], even[1], odd[1]], axis=-1)
    return words.reshape(ids.size, 4 * blocks)[:, :n]


def philox_uniform(
    seed: int,
    ids: NDArray[np.integer],
    counter: int | NDArray[np.integer],
    n: int,
    branch: tuple[int | NDArray[np.integer], int | NDArray[np.integer]] = (0, 0),
) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), shape (m, n): `Generator(Philox(...)).random(n)` for each id."""
    return np.asarray((philox_uint64(seed, ids, counter, n, branch) >> np.uint64(11)) * 2.0**-53, np.float64)


def _multiply(a: UInt64Array, b: UInt64Array) -> tuple[UInt64Array, UInt64Array]:
    """High and low 64 bits of the 128-bit products a * b, by 32-bit halves."""
    a_low, a_high = a & _LOW, a >> _HALF
    b_low, b_high = b & _LOW, b >> _HALF
    low = a_low * b_low
    low >>= _HALF
    middle = a_high * b_low
    middle += low
    carry = a_low * b_high
    carry += middle & _LOW
    carry >>= _HALF
    middle >>= _HALF
    b_high *= a_high
    b_high += middle
    b_high += carry
    return b_high, a * b
