"""Counter-based random numbers for many streams at once: NumPy's Philox4x64-10, vectorized over keys.

`numpy.random.Philox(key=[a, b], counter=[0, 0, 0, c])` is the definition; one such generator costs
15 us to make, so drawing a few numbers for each of a million trajectories is done here, bit for bit the same.
Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import numpy as np
from numpy.typing import NDArray

UInt64Array = NDArray[np.uint64]

_MULTIPLIERS = (np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157))
_WEYL = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B))
_ROUNDS = 10
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox_uint64(seed: int, ids: NDArray[np.integer], counter: int | NDArray[np.integer], n: int) -> UInt64Array:
    """The first `n` words of Philox(key=[seed, id], counter=[0, 0, 0, counter]) for each id.

    Args:
        seed: first key word, 0 <= seed < 2**64.
        ids: second key word, shape (m,), not negative.
        counter: last counter word, one for all or shape (m,).
        n: words wanted from each stream.

    Returns:
        Shape (m, n), equal to `numpy.random.Philox(...).random_raw(n)` for each row.
    """
    blocks = -(-n // 4)
    shape = (ids.size, blocks)
    # NumPy raises the counter before each block, so the first block has counter word 0 equal to 1.
    words = [
        np.broadcast_to(np.arange(1, blocks + 1, dtype=np.uint64), shape),
        np.zeros(shape, np.uint64),
        np.zeros(shape, np.uint64),
        np.broadcast_to(np.asarray(counter, np.uint64).reshape(-1, 1), shape),
    ]
    key0 = np.uint64(seed)
    key1 = ids.astype(np.uint64)[:, None]
    with np.errstate(over="ignore"):
        for _ in range(_ROUNDS):
            high0, low0 = _multiply(_MULTIPLIERS[0], words[0])
            high1, low1 = _multiply(_MULTIPLIERS[1], words[2])
            words = [high1 ^ words[1] ^ key0, low1, high0 ^ words[3] ^ key1, low0]
            key0, key1 = key0 + _WEYL[0], key1 + _WEYL[1]
    return np.stack(words, axis=-1).reshape(ids.size, 4 * blocks)[:, :n]


def philox_uniform(
    seed: int, ids: NDArray[np.integer], counter: int | NDArray[np.integer], n: int
) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), shape (m, n): `Generator(Philox(...)).random(n)` for each id."""
    return np.asarray((philox_uint64(seed, ids, counter, n) >> np.uint64(11)) * 2.0**-53, np.float64)


def _multiply(a: np.uint64, b: UInt64Array) -> tuple[UInt64Array, UInt64Array]:
    """High and low 64 bits of the 128-bit products a * b, by 32-bit halves."""
    a_low, a_high = a & _LOW, a >> _HALF
    b_low, b_high = b & _LOW, b >> _HALF
    middle = a_high * b_low + (a_low * b_low >> _HALF)
    carry = (middle & _LOW) + a_low * b_high
    return a_high * b_high + (middle >> _HALF) + (carry >> _HALF), a * b
