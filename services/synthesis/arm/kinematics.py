"""Forward kinematics of a serial chain for many configurations at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled
from services.synthesis.numerics.elementary import sincos

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


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


class Followers(NamedTuple):
    """F joints off the arm that move with it. Frame j is that of the arm's joint j, and frame dof + f follower f's.

    Attributes:
        parent: the frame before each, or -1, the base, shape (F,).
        rotation: of each one's frame in the one before it, turned so that its axis is z, shape (F, 3, 3).
        translation: likewise, shape (F, 3) [m].
        slides: which are prismatic, shape (F,).
        source: the arm's joint that each follows, shape (F,).
        multiplier: of that joint's position, shape (F,).
        offset: position of each where that is 0, shape (F,) [rad or m].
    """

    parent: IntArray
    rotation: FloatArray
    translation: FloatArray
    slides: BoolArray
    source: IntArray
    multiplier: FloatArray
    offset: FloatArray


LANES = 64
"""Configurations worked on side by side: the state of a block stays in the first-level cache."""


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
    angles, cosines, sines = np.empty(LANES), np.empty(LANES), np.empty(LANES)
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
            # Gathered first: from one column of q, the sines and cosines would be computed one by one.
            for i in range(m):
                angles[i] = q[begin + i, j] if j < dof and not slides else 0.0
            for i in range(m):
                sine, cosine = sincos(angles[i])
                sines[i], cosines[i] = sine, cosine
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
