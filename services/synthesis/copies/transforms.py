"""Where the parts of a demonstration are carried: a rigid transform for each segment and for each object over time.

The transform of a skill segment takes its object from where it was to where it is now, turned by one of the object's
symmetries or by none, whichever lets the hand turn least on its way there. What the hand holds goes where the hand
goes, and stays where it is let go: later segments that are relative to it start from there.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled
from services.synthesis.copies.rigid import WIDTH, about, apply, conjugate, multiply
from services.synthesis.copies.sources import Sources
from services.synthesis.numerics.elementary import sincos
from shared.demonstrated_motions import FIXED, FREE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Transforms(NamedTuple):
    """Transforms (..., 7) of n copies; entries past a motion's own segments and holds mean nothing.

    Attributes:
        begin: of each segment where it begins, shape (n, segments, 7).
        end: where it ends; the same but in free segments, shape (n, segments, 7).
        moved: of each object before its first hold and after each, shape (n, O, holds + 1, 7).
        turned: the turn about its own origin that each object has beyond that, a unit quaternion that is applied first,
            shape (n, O, holds + 1, 4).
    """

    begin: FloatArray
    end: FloatArray
    moved: FloatArray
    turned: FloatArray


def transforms(
    sources: Sources, source: IntArray, symmetry: IntArray, moved: FloatArray, start: FloatArray
) -> Transforms:
    """The transforms of n copies.

    Args:
        sources: the demonstrations.
        source: which one each copies, shape (n,).
        symmetry: yaw_symmetry of each object, shape (O,).
        moved: of each object, from its pose at the demonstration's first step, shape (n, O, 7).
        start: of the tool's pose there, shape (n, 7).
    """
    n, objects = moved.shape[:2]
    segments, holds = (int(np.diff(first).max()) for first in (sources.first_segment, sources.first_held))
    made = Transforms(
        np.zeros((n, segments, WIDTH)),
        np.zeros((n, segments, WIDTH)),
        np.zeros((n, objects, holds + 1, WIDTH)),
        np.zeros((n, objects, holds + 1, 4)),
    )
    _fill(sources, source, symmetry, moved, start, made)
    return made


@compiled
def _fill(
    sources: Sources, source: IntArray, symmetry: IntArray, moved: FloatArray, start: FloatArray, made: Transforms
) -> None:
    objects = moved.shape[1]
    held_so_far, previous, image = np.zeros(objects, np.int64), np.empty(WIDTH), np.empty(3)
    quat, hand = np.empty(4), np.empty(4)
    for i in range(source.size):
        motion = source[i]
        step, first = sources.first[motion], sources.first_segment[motion]
        count = sources.first_segment[motion + 1] - first
        for o in range(objects):
            held_so_far[o] = 0
            made.turned[i, o, 0, 3] = 1.0
            for c in range(WIDTH):
                made.moved[i, o, 0, c] = moved[i, o, c]
        for c in range(WIDTH):
            previous[c] = start[i, c]
        # The step at which the hand was last where it had to be: the start, or the end of a skill segment.
        left = 0
        for s in range(count):
            begins = 0 if s == 0 else sources.segment_end[first + s - 1]
            ends, o = sources.segment_end[first + s], sources.relative_to[first + s]
            for c in range(WIDTH):
                made.begin[i, s, c] = previous[c]
            if o == FIXED:
                for c in range(WIDTH):
                    previous[c] = 1.0 if c == WIDTH - 1 else 0.0
            elif o != FREE:
                here = made.moved[i, o, held_so_far[o]]
                at = sources.object_position[step + begins, o]
                if sources.turns_with_hand[first + s]:
                    for c in range(4):
                        quat[c] = previous[3 + c]
                else:
                    multiply(previous[3:], sources.quat[step + left], hand)
                    own = sources.object_quat[step + begins, o]
                    _nearest_turn(here[3:], own, symmetry[o], hand, sources.quat[step + begins], quat)
                apply(here, at, image)
                about(quat, at, image, previous)
            if o != FREE:
                left = ends - 1
                for c in range(WIDTH):
                    made.begin[i, s, c] = previous[c]
            for c in range(WIDTH):
                made.end[i, s, c] = previous[c]
            _hold(sources, motion, i, begins, ends, held_so_far, made, previous)
        # A free segment ends as the next one begins.
        for s in range(count - 1):
            if sources.relative_to[first + s] == FREE:
                for c in range(WIDTH):
                    made.end[i, s, c] = made.begin[i, s + 1, c]


@compiled
def _hold(
    sources: Sources,
    motion: int,
    i: int,
    begins: int,
    ends: int,
    held_so_far: IntArray,
    made: Transforms,
    transform: FloatArray,
) -> None:
    """What is taken and let go between two steps, under the transform of the segment that they are in."""
    step = sources.first[motion]
    with_hand, as_before, inverse = np.empty(4), np.empty(4), np.empty(4)
    for h in range(sources.first_held[motion], sources.first_held[motion + 1]):
        o, taken, left = sources.held[h]
        now = held_so_far[o]
        if begins <= taken < ends:
            # So that the object's rotation goes on where it was: transform * quat * turned is what it was before.
            quat = sources.object_quat[step + taken, o]
            multiply(made.moved[i, o, now, 3:], quat, with_hand)
            multiply(with_hand, made.turned[i, o, now], as_before)
            multiply(transform[3:], quat, with_hand)
            conjugate(with_hand, inverse)
            multiply(inverse, as_before, made.turned[i, o, now + 1])
        if begins < left <= ends:
            for c in range(WIDTH):
                made.moved[i, o, now + 1, c] = transform[c]
            held_so_far[o] = now + 1


@compiled
def _nearest_turn(
    moved: FloatArray, quat: FloatArray, symmetry: int, hand: FloatArray, reached: FloatArray, out: FloatArray
) -> None:
    """The turn of an object with one of its symmetries: the one that brings the hand nearest to how it is turned.

    Args:
        moved: turn of the object, a unit quaternion like all others here, (4,).
        quat: of the object in the demonstration.
        symmetry: its yaw_symmetry.
        hand: of the tool before.
        reached: of the tool in the demonstration, where the turn is applied.
        out: filled.
    """
    best = -1.0
    carried = np.empty(4)
    spun, turned, about_own, inverse = np.empty(4), np.empty(4), np.empty(4), np.empty(4)
    conjugate(quat, inverse)
    about_own[0], about_own[1] = 0.0, 0.0
    for k in range(symmetry):
        about_own[2], about_own[3] = sincos(np.pi * k / symmetry)
        multiply(quat, about_own, spun)
        multiply(spun, inverse, turned)
        multiply(moved, turned, spun)
        multiply(spun, reached, carried)
        near = abs(carried[0] * hand[0] + carried[1] * hand[1] + carried[2] * hand[2] + carried[3] * hand[3])
        # By more than rounding, so that what is equally near is always the same.
        if near > best + 1e-9:
            best = near
            for c in range(4):
                out[c] = spun[c]
