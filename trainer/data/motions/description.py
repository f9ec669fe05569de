"""Motions in words, for people to check."""

from collections import Counter

import numpy as np

from shared.demonstrated_motions import FIXED, FREE, DemonstratedMotion, DemonstratedMotions


def describe_motions(motions: DemonstratedMotions) -> list[str]:
    """How many demonstrations there are, of which segments they are made, and how long these last."""
    objects = ", ".join(
        f"{thing.name} (the same after a turn by {360 / thing.yaw_symmetry:g} degrees)" for thing in motions.objects
    )
    lines = [
        f"{len(motions.motions)} demonstrations of {motions.task} by {motions.robot} at {motions.rate_hz:g} Hz",
        f"objects: {objects}",
    ]
    patterns = Counter(_pattern(motion, motions) for motion in motions.motions)
    for pattern, count in patterns.most_common():
        own = [motion for motion in motions.motions if _pattern(motion, motions) == pattern]
        lasts = np.array([np.diff([0, *(segment.end for segment in motion.segments)]) for motion in own])
        seconds = np.median(lasts, axis=0) / motions.rate_hz
        parts = [f"{name} {lasting:.1f} s" for name, lasting in zip(pattern, seconds, strict=True)]
        lines.append(f"{count} of them: {', '.join(parts)}")
    return lines


def _pattern(motion: DemonstratedMotion, motions: DemonstratedMotions) -> tuple[str, ...]:
    names = {FREE: "free", FIXED: "at a fixed place"}
    known = {**names, **{place: f"with {thing.name}" for place, thing in enumerate(motions.objects)}}
    return tuple(
        known[segment.relative_to]
        + (", turned as the hand is" if segment.relative_to >= 0 and segment.turns_with == "hand" else "")
        for segment in motion.segments
    )
