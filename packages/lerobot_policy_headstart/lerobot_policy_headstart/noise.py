"""The noise that an answer starts from: that of Headstart's own policy, drawn from a hash of what is observed."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def noise_of(
    seed: int, observations: NDArray[np.float32], crops: Sequence[NDArray[np.uint8]], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """N(0, 1) by Box and Muller, from a Philox stream for each robot's observation.

    Args:
        seed: of the noise.
        observations: as they were measured, (n, n_obs_steps, width).
        crops: what each camera saw, (n, n_picture_steps, height, width, 3).
        shape: horizon and action_dim.

    Returns:
        (n, horizon, action_dim), of each robot the same whatever else is in the batch.
    """
    keys = [_hash(*of_robot) for of_robot in zip(observations, *crops, strict=True)]
    return np.stack([_normal(seed, key, shape) for key in keys])


def _normal(seed: int, key: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    count = shape[0] * shape[1]
    half = (count + 1) // 2
    stream = np.random.Philox(key=np.array([seed, key], np.uint64), counter=np.zeros(4, np.uint64))
    uniform = np.random.Generator(stream).random(2 * half)
    radius, angle = np.sqrt(-2 * np.log1p(-uniform[:half])), 2 * np.pi * uniform[half:]
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return normal[:count].astype(np.float32).reshape(shape)


def _hash(*arrays: NDArray[Any]) -> int:
    value = 0
    for array in arrays:
        value = zlib.crc32(np.ascontiguousarray(array).tobytes(), value)
    return value
