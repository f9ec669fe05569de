"""Frames of an arm's links in a posture, and capsules around the links."""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.kinematics import Chain, Followers
from services.synthesis.compiled import compiled
from services.synthesis.numerics.elementary import sincos

FloatArray = NDArray[np.float64]


@compiled
def link_frames(chain: Chain, followers: Followers, q: FloatArray, frames: FloatArray) -> None:
    """Frames of the base, of each joint, and of each that follows one: rotation row by row, then translation.

    Fills `frames`, shape (1 + dof + F, 12).
    """
    for k in range(12):
        frames[0, k] = 1.0 if k % 4 == 0 and k < 9 else 0.0
    dof = q.size
    for j in range(dof):
        _place(frames[j], chain.rotation[j], chain.translation[j], chain.slides[j], q[j], frames[j + 1])
    for i in range(followers.parent.size):
        position = followers.multiplier[i] * q[followers.source[i]] + followers.offset[i]
        _place(
            frames[followers.parent[i] + 1], followers.rotation[i], followers.translation[i], followers.slides[i],
            position, frames[dof + 1 + i],
        )  # fmt: skip


@compiled
def _place(before: FloatArray, f: FloatArray, t: FloatArray, slides: bool, position: float, after: FloatArray) -> None:
    """The frame of a joint at a position, after the one before it."""
    sine, cosine = (0.0, 1.0) if slides else sincos(position)
    for r in range(3):
        a, b, c = before[3 * r], before[3 * r + 1], before[3 * r + 2]
        x = a * f[0, 0] + b * f[1, 0] + c * f[2, 0]
        y = a * f[0, 1] + b * f[1, 1] + c * f[2, 1]
        after[3 * r] = x * cosine + y * sine
        after[3 * r + 1] = y * cosine - x * sine
        after[3 * r + 2] = a * f[0, 2] + b * f[1, 2] + c * f[2, 2]
        after[9 + r] = before[9 + r] + a * t[0] + b * t[1] + c * t[2]
        if slides:
            after[9 + r] += after[3 * r + 2] * position


@compiled
def place_capsule(frame: FloatArray, capsule: FloatArray, ends: FloatArray) -> None:
    """Both ends of a capsule in the base frame, shape (6,), of one given in its joint's."""
    for end in range(2):
        x, y, z = capsule[3 * end], capsule[3 * end + 1], capsule[3 * end + 2]
        for r in range(3):
            ends[3 * end + r] = frame[9 + r] + frame[3 * r] * x + frame[3 * r + 1] * y + frame[3 * r + 2] * z


@compiled
def segment_distance(first: FloatArray, second: FloatArray, direction: FloatArray) -> float:
    """Distance of two segments, each two end points (Ericson, Real-Time Collision Detection, 5.1.9).

    Fills `direction` (3,) with the unit vector from the first's nearest point to the second's, zero where they meet.
    """
    a = e = b = c = f = 0.0
    for r in range(3):
        d1, d2, offset = first[3 + r] - first[r], second[3 + r] - second[r], first[r] - second[r]
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
    total = 0.0
    for r in range(3):
        direction[r] = second[r] + t * (second[3 + r] - second[r]) - first[r] - s * (first[3 + r] - first[r])
        total += direction[r] * direction[r]
    distance = np.sqrt(total)
    for r in range(3):
        direction[r] = direction[r] / distance if distance > 1e-9 else 0.0
    return float(distance)
