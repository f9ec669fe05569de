"""Frames of an arm's links in a posture, and capsules around the links.

Inner loops name items by their index, in whole arrays: a view of a row costs Numba two atomic operations.
"""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.kinematics import Chain, Followers
from services.synthesis.compiled import compiled, inlined
from services.synthesis.numerics.elementary import sincos

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@compiled
def link_frames(chain: Chain, followers: Followers, q: FloatArray, frames: FloatArray) -> None:
    """Frames of the base, of each joint, and of each that follows one: rotation row by row, then translation.

    Fills `frames`, shape (1 + dof + F, 12).
    """
    rotation, translation, slides = chain.rotation, chain.translation, chain.slides
    for k in range(12):
        frames[0, k] = 1.0 if k % 4 == 0 and k < 9 else 0.0
    dof = q.size
    for j in range(dof):
        _place(frames, j, rotation, translation, slides, j, q[j], j + 1)
    parent, rotation, translation, slides, source, multiplier, offset = followers
    for i in range(parent.size):
        position = multiplier[i] * q[source[i]] + offset[i]
        _place(frames, parent[i] + 1, rotation, translation, slides, i, position, dof + 1 + i)


@inlined
def _place(
    frames: FloatArray,
    before: int,
    rotation: FloatArray,
    translation: FloatArray,
    slides: BoolArray,
    joint: int,
    position: float,
    after: int,
) -> None:
    """Fills in the frame `after` of a joint at a position, from the one before it."""
    sine, cosine = (0.0, 1.0) if slides[joint] else sincos(position)
    for r in range(3):
        a, b, c = frames[before, 3 * r], frames[before, 3 * r + 1], frames[before, 3 * r + 2]
        x = a * rotation[joint, 0, 0] + b * rotation[joint, 1, 0] + c * rotation[joint, 2, 0]
        y = a * rotation[joint, 0, 1] + b * rotation[joint, 1, 1] + c * rotation[joint, 2, 1]
        z = a * rotation[joint, 0, 2] + b * rotation[joint, 1, 2] + c * rotation[joint, 2, 2]
        frames[after, 3 * r] = x * cosine + y * sine
        frames[after, 3 * r + 1] = y * cosine - x * sine
        frames[after, 3 * r + 2] = z
        moved = a * translation[joint, 0] + b * translation[joint, 1] + c * translation[joint, 2]
        moved = frames[before, 9 + r] + moved
        frames[after, 9 + r] = moved + z * position if slides[joint] else moved


@compiled
def place_capsules(frames: FloatArray, joint: IntArray, capsules: FloatArray, ends: FloatArray) -> None:
    """Fills in both ends of each body's capsule in the base frame, shape (B, 6), given in their joints' frames."""
    for body in range(joint.size):
        f = joint[body] + 1
        for end in range(2):
            x, y, z = capsules[body, 3 * end], capsules[body, 3 * end + 1], capsules[body, 3 * end + 2]
            for r in range(3):
                turned = frames[f, 3 * r] * x + frames[f, 3 * r + 1] * y + frames[f, 3 * r + 2] * z
                ends[body, 3 * end + r] = frames[f, 9 + r] + turned


@compiled
def segment_distance(ends: FloatArray, one: int, other: int) -> tuple[float, float, float, float]:
    """Distance of two segments, each two end points (Ericson, Real-Time Collision Detection, 5.1.9).

    Also returns the unit vector from the first's nearest point to the second's, zero where they meet.
    """
    a = e = b = c = f = 0.0
    for r in range(3):
        d1, d2 = ends[one, 3 + r] - ends[one, r], ends[other, 3 + r] - ends[other, r]
        offset = ends[one, r] - ends[other, r]
        a, e, b = a + d1 * d1, e + d2 * d2, b + d1 * d2
        c, f = c + d1 * offset, f + d2 * offset
    a, e = max(a, 1e-18), max(e, 1e-18)
    denominator = a * e - b * b
    s = min(max((b * f - c * e) / denominator, 0.0), 1.0) if denominator > 1e-12 * a * e else 0.0
    t = (b * s + f) / e
    if t < 0.0:
        t, s = 0.0, min(max(-c / a, 0.0), 1.0)
    elif t > 1.0:
        t, s = 1.0, min(max((b - c) / a, 0.0), 1.0)
    x = ends[other, 0] + t * (ends[other, 3] - ends[other, 0]) - ends[one, 0] - s * (ends[one, 3] - ends[one, 0])
    y = ends[other, 1] + t * (ends[other, 4] - ends[other, 1]) - ends[one, 1] - s * (ends[one, 4] - ends[one, 1])
    z = ends[other, 2] + t * (ends[other, 5] - ends[other, 2]) - ends[one, 2] - s * (ends[one, 5] - ends[one, 2])
    distance = np.sqrt(x * x + y * y + z * z)
    if distance > 1e-9:
        return distance, x / distance, y / distance, z / distance
    return distance, 0.0, 0.0, 0.0
