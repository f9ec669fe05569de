"""Commanded poses: absolute ones and deltas, by agreement with what was observed."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.rotation import geodesic_angle, matrix_to_rotvec
from trainer.data.demonstrations.formats.robosuite_frames import COMMANDED
from trainer.data.demonstrations.mapping.mapping import Frame, Position, Rotation
from trainer.data.demonstrations.mapping.motion import fixed_frames
from trainer.data.demonstrations.proposal.frames import as_mapping, distance, fit_frames, without_frames
from trainer.data.demonstrations.proposal.guess import Solution
from trainer.data.demonstrations.proposal.readings import position_readings, rotation_readings
from trainer.data.demonstrations.proposal.steps import Steps
from trainer.poses import Pose

FloatArray = NDArray[np.float64]

NEAR, FLOOR = 0.3, 0.03
"""Of commands and what is observed: arms lag and sag [m and rad, added]."""
# Of what is left unexplained of a motion: how much a mode may leave, and how much more the other one must.
UNEXPLAINED, CLEARLY = 0.5, 2.0


@dataclass(frozen=True)
class Fit:
    """How well one series explains another.

    Attributes:
        unexplained: share of its spread that is left, from 0 to 1.
        factor: the other's units for one of the first.
        delay: steps that it comes later.
    """

    unexplained: float
    factor: float
    delay: int


_NOTHING = Fit(1.0, 0.0, 0)
_MOST = 2000


def absolute_fit(steps: Steps, told: FloatArray, seen: FloatArray) -> Fit:
    """How well (N, n) commands fit as places that are observed later, in any unit, axes and zero; its factor is 0."""
    return min((_linear_fit(*pair, zero=True) for pair in _later(steps, told, seen)), key=_left, default=_NOTHING)


def delta_fit(steps: Steps, told: FloatArray, moved: FloatArray) -> Fit:
    """How well (N, n) commands fit as motions from each step to the next (N, n), in whatever unit and axes."""
    return min((_linear_fit(*pair, zero=False) for pair in _later(steps, told, moved)), key=_left, default=_NOTHING)


def scaled_fit(steps: Steps, told: FloatArray, moved: FloatArray) -> Fit:
    """How well (N, n) commands fit as motions from each step to the next (N, n), but for their unit."""
    fits = []
    for delay, a, b in _later(steps, told, moved):
        power, spread = float((a * a).sum()), float((b * b).sum())
        if power > 0 and spread > 0:
            factor = float((a * b).sum()) / power
            fits.append(Fit(float(np.sqrt(((b - factor * a) ** 2).sum() / spread)), factor, delay))
    return min(fits, key=_left, default=_NOTHING)


def _later(steps: Steps, told: FloatArray, seen: FloatArray) -> Iterator[tuple[int, FloatArray, FloatArray]]:
    """At each delay, commands and what is then observed."""
    for delay in steps.delays:
        early, late = steps.pairs(delay + 1, most=_MOST)
        if len(early) > 2 * told.shape[1]:
            yield delay, told[early], seen[late - 1]


def _linear_fit(delay: int, a: FloatArray, b: FloatArray, *, zero: bool) -> Fit:
    if zero:
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    spread = float((b * b).sum())
    left = b - a @ np.linalg.lstsq(a, b, rcond=None)[0]
    return Fit(float(np.sqrt((left * left).sum() / spread)) if spread > 0 else 1.0, 0.0, delay)


def _left(fit: Fit) -> float:
    return fit.unexplained


def pose_mode(steps: Steps, told: FloatArray, seen: Sequence[Pose]) -> tuple[Fit, Fit]:
    """How well commanded (N, 3) explain observed places, and motions in the axes of the base or of the tool.

    Args:
        steps: of the data set.
        told: shifts or places.
        seen: readings of the observed poses, (N, 3) and (N, 3, 3).
    """
    places = {id(pose[0]): pose[0] for pose in seen}.values()
    absolute = [absolute_fit(steps, told, place) for place in places]
    delta = [delta_fit(steps, told, motions(place)) for place in places]
    delta += [delta_fit(steps, told, in_tool_axes(motions(pose[0]), pose[1])) for pose in seen]
    return min(absolute, key=_left), min(delta, key=_left)


def in_tool_axes(vectors: FloatArray, rotation: FloatArray) -> FloatArray:
    """(N, 3) vectors of the base, in the axes of (N, 3, 3) tools."""
    return np.asarray(np.einsum("nji,nj->ni", rotation, vectors))


def motions(values: FloatArray) -> FloatArray:
    """Motions from each of (N, ...) steps to the next; the last one's is 0. Those between episodes are in no pair."""
    moved = np.zeros_like(values)
    moved[:-1] = values[1:] - values[:-1]
    return moved


def turns(rotation: FloatArray, *, of_tool: bool) -> FloatArray:
    """Rotation vectors (N, 3) from each of (N, 3, 3) to the next, in the axes of the tool or of the base."""
    earlier, later = rotation[:-1], rotation[1:]
    back = np.swapaxes(earlier, 1, 2)
    turned = matrix_to_rotvec(back @ later if of_tool else later @ back)
    return np.concatenate([turned, np.zeros((1, 3))])


def pose_solutions(
    steps: Steps, position: str, rotation: str, observed: Sequence[tuple[Mapping[Any, Any], Pose]]
) -> list[Solution]:
    """Readings of absolute commanded poses, with those of the observed ones that they are compared with.

    Args:
        steps: of the data set.
        position: columns.
        rotation: columns.
        observed: values of the mapping's state, and the N poses in the arm's frames by them.
    """
    places = position_readings(position, steps.values(position))
    rotations = rotation_readings(rotation, steps.values(rotation))
    found = []
    for state, seen in observed:
        frames: list[Frame | str] = ["base"]
        if state.get(("state", "frame"), "base") != "base":
            frames.append(state[("state", "frame")])
        for (place, metres), (turn, matrices) in itertools.product(places, rotations):
            for frame in frames:
                pose = (
                    (metres, matrices) if frame == "base" else _in_ours(steps, place, turn, frame, (metres, matrices))
                )
                if pose is not None:
                    found.append(_solution(state, place, turn, frame, _nearest(steps, pose, seen)))
    if found and min(one.distance for one in found) < NEAR:
        return found
    return found + _in_other_frames(steps, places, rotations, observed)


def _in_other_frames(
    steps: Steps,
    places: Sequence[tuple[Position, FloatArray]],
    rotations: Sequence[tuple[Rotation, FloatArray]],
    observed: Sequence[tuple[Mapping[Any, Any], Pose]],
) -> list[Solution]:
    """With commands in a frame of their own, if that is known of what is observed: with one reading of it."""
    found: list[Solution] = []
    if len(observed) != 1:
        return found
    ((state, seen),) = observed
    for (place, metres), (turn, matrices) in itertools.product(places, rotations):
        for delay in steps.delays[:: max(1, len(steps.delays) // 5)]:
            early, late = steps.pairs(delay)
            told, then = (metres[early], matrices[early]), (seen[0][late], seen[1][late])
            for which in ("base", "tool"):
                frames = fit_frames(told, then, which)
                assert frames is not None
                apart = distance(without_frames(told, *frames), then)
                found.append(_solution(state, place, turn, as_mapping(*frames), apart))
    # The frame is fitted anew at every delay; each reading is kept as the best one has it.
    best: dict[str, Solution] = {}
    for one in sorted(found, key=lambda solution: solution.distance):
        frame = one.values[("action", "frame")]
        kind = "tool" if frame.base == Frame().base else "base"
        best.setdefault(f"{one.values[('action', 'position')]}{one.values[('action', 'rotation')]}{kind}", one)
    return list(best.values())


def _in_ours(steps: Steps, place: Position, turn: Rotation, frame: Frame | str, pose: Pose) -> Pose | None:
    if isinstance(frame, Frame):
        return fixed_frames(frame).tcp_from_site(pose)
    ends = [*steps.starts[1:].tolist(), len(pose[0])]
    parts = []
    for raw, begin, end in zip(steps.raws, steps.starts.tolist(), ends, strict=True):
        if COMMANDED not in raw.frames:
            return None
        parts.append(raw.frames[COMMANDED].tcp_from_site((pose[0][begin:end], pose[1][begin:end])))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _solution(state: Mapping[Any, Any], place: Position, turn: Rotation, frame: Frame | str, apart: float) -> Solution:
    action = {("action", "position"): place, ("action", "rotation"): turn, ("action", "frame"): frame}
    return Solution({**state, **action}, apart)


def _nearest(steps: Steps, told: Pose, seen: Pose) -> float:
    """Distance at the delay at which they agree best."""
    least = np.inf
    for delay in steps.delays:
        early, late = steps.pairs(delay)
        apart = np.median(np.linalg.norm(told[0][early] - seen[0][late], axis=1))
        least = min(least, float(apart + np.median(geodesic_angle(told[1][early], seen[1][late]))))
    return least
