"""Counter-based random numbers for many streams at once: NumPy's Philox4x64-10, vectorized over keys.

`numpy.random.Philox(key=[a, b], counter=[0, d, e, c])` is the definition; one such generator costs
15 us to make, so drawing a few numbers for each of a million trajectories is done here, bit for bit the same.
Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import numpy as np
from numpy.typing import NDArray

UInt64Array = NDArray[np.uint64]

_MULTIPLIERS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
_WEYL = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
_ROUNDS = 10
_FEW, _MANY = 8, 300
"""Up to so many streams, and for more than so many words of each, NumPy's own generator is faster."""
_TOGETHER = 2**14
"""Blocks of four words computed at once, so that what lies between the rounds stays in the processor's cache."""
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
    if 0 < ids.size <= _FEW or (ids.size and n > _MANY):
        words_of_each = (np.broadcast_to(word, ids.shape).tolist() for word in (ids, *branch, counter))
        return np.stack([_stream(seed, n, *one) for one in zip(*words_of_each, strict=True)])
    words = np.empty((ids.size, n), np.uint64)
    streams = max(1, _TOGETHER // -(-n // 4))
    for begin in range(0, ids.size, streams):
        part = slice(begin, begin + streams)
        counters = [word if np.ndim(word) == 0 else np.asarray(word)[part] for word in (*branch, counter)]
        words[part] = _words_of_streams(seed, n, ids[part], *counters)
    return words


def philox_uniform(
    seed: int,
    ids: NDArray[np.integer],
    counter: int | NDArray[np.integer],
    n: int,
    branch: tuple[int | NDArray[np.integer], int | NDArray[np.integer]] = (0, 0),
) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), shape (m, n): `Generator(Philox(...)).random(n)` for each id."""
    return np.asarray((philox_uint64(seed, ids, counter, n, branch) >> np.uint64(11)) * 2.0**-53, np.float64)


def _words_of_streams(
    seed: int,
    n: int,
    ids: NDArray[np.integer],
    *counter: int | NDArray[np.integer],
) -> UInt64Array:
    """As philox_uint64, of all streams at once: (m, n)."""
    blocks = -(-n // 4)
    # Words 0 and 2 of each state, and words 1 and 3: each round multiplies the first two and swaps the pairs. Shapes
    # are (m, blocks), or 1 where all are equal, as most are before the ids are mixed in.
    # NumPy raises the counter before each block, so the first block has counter word 0 equal to 1.
    even_0 = np.arange(1, blocks + 1, dtype=np.uint64)[None]
    odd_0, even_1, odd_1 = (np.asarray(word, np.uint64).reshape(-1, 1) for word in counter)
    key_0, key_1 = seed, ids.astype(np.uint64)[:, None]
    with np.errstate(over="ignore"):
        for _ in range(_ROUNDS):
            high_0, low_0 = _multiply(_MULTIPLIERS[0], even_0)
            high_1, low_1 = _multiply(_MULTIPLIERS[1], even_1)
            even_0, even_1 = _xor(high_1, odd_0, np.uint64(key_0)), _xor(high_0, odd_1, key_1)
            odd_0, odd_1 = low_1, low_0
            key_0, key_1 = (key_0 + _WEYL[0]) % 2**64, key_1 + np.uint64(_WEYL[1])
    words = np.empty((ids.size, blocks, min(n, 4)), np.uint64)
    for place, word in enumerate((even_0, odd_0, even_1, odd_1)[:n]):
        words[..., place] = word
    return words.reshape(ids.size, blocks * min(n, 4))[:, :n]


def _stream(seed: int, n: int, stream: int, *counter: int) -> UInt64Array:
    key, counters = np.array([seed, stream], np.uint64), np.array([0, *counter], np.uint64)
    return np.asarray(np.random.Philox(key=key, counter=counters).random_raw(n))


def _multiply(a: int, b: UInt64Array) -> tuple[UInt64Array, UInt64Array]:
    """High and low 64 bits of the 128-bit products a * b, by 32-bit halves."""
    a_low, a_high = np.uint64(a & 0xFFFFFFFF), np.uint64(a >> 32)
    high = b >> _HALF
    low = b & _LOW
    middle = low * a_high
    low *= a_low
    low >>= _HALF
    middle += low
    carry = np.multiply(high, a_low, out=low)
    carry += middle & _LOW
    carry >>= _HALF
    middle >>= _HALF
    high *= a_high
    high += middle
    high += carry
    return high, b * np.uint64(a)


def _xor(a: UInt64Array, b: UInt64Array, c: UInt64Array | np.uint64) -> UInt64Array:
    """a ^ b ^ c, in the place of `a` where that has their shape."""
    if a.shape != np.broadcast_shapes(a.shape, b.shape, np.shape(c)):
        return np.asarray(a ^ b ^ c)
    a ^= b
    a ^= c
    return a
