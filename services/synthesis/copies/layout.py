"""Which demonstration a copy is of, where its objects lie, and where its tool starts: drawn for each candidate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.copies.rigid import WIDTH
from services.synthesis.copies.sources import Sources, sources
from services.synthesis.draw.uniform import directions, in_ball
from services.synthesis.numerics.elementary import angles_of, sines_cosines
from services.synthesis.request.workspace import Objects
from shared.philox import philox_uniform

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_ARRANGEMENTS = 16
"""Of the objects, tried one after another until none of them is too near to another."""
_START_WORDS = 6
_NEAREST_RADIUS = 0.05
"""Metres that a radian of an object's yaw counts for where the nearest demonstration is looked for."""


@dataclass(frozen=True, eq=False)
class Spans:
    """Where objects may lie.

    Attributes:
        low: least x, y [m] and yaw [rad] of each object, shape (O, 3); `high` the greatest.
        high: likewise.
        height: least and greatest z [m] of each object, shape (O, 2); NaN where the demonstration's own is kept.
        least_distance: between any two of them, in the plane [m].
    """

    low: FloatArray
    high: FloatArray
    height: FloatArray
    least_distance: float


@dataclass(frozen=True, eq=False)
class Layouts:
    """What n candidates copy, and where their objects lie.

    Attributes:
        source: index of the demonstration, shape (n,).
        moved: transform of each object from its pose in the demonstration, shape (n, O, 7).
        start: transform of the tool's pose at the start, shape (n, 7).
        apart: whether the objects keep their distance, shape (n,).
    """

    source: IntArray
    moved: FloatArray
    start: FloatArray
    apart: BoolArray


def demonstrated_layouts(demonstrated: Sources) -> FloatArray:
    """x, y [m] and yaw [rad] of each object at the start of each demonstration, shape (M, O, 3)."""
    begins = demonstrated.first[:-1]
    x, y, z, w = np.moveaxis(demonstrated.object_quat[begins], -1, 0)
    yaw = angles_of(2 * (x * y + w * z), 1 - 2 * (y * y + z * z))
    return np.concatenate([demonstrated.object_position[begins, :, :2], yaw[..., None]], axis=-1)


def spans(workspace: Objects) -> Spans:
    """Where the objects of a workspace may lie: where the request says, else where the demonstrations had them."""
    found = demonstrated_layouts(sources(workspace.motions))
    yaw = found[..., 2]
    # About each object's mean direction, so that yaws on either side of +-pi are near to each other.
    sine, cosine = sines_cosines(yaw)
    middle = angles_of(sine.mean(0), cosine.mean(0))
    found = np.concatenate([found[..., :2], (middle + _wrapped(yaw - middle))[..., None]], axis=-1)
    low, high = found.min(0), found.max(0)
    height = np.full((len(low), 2), np.nan)
    low[:, :2] -= workspace.widen
    high[:, :2] += workspace.widen
    for index, thing in enumerate(workspace.motions.objects):
        given = workspace.objects.get(thing.name)
        if given is not None and given.min is not None and given.max is not None:
            low[index, :2], high[index, :2] = given.min, given.max
        if given is not None and given.yaw_deg is not None:
            low[index, 2], high[index, 2] = np.deg2rad(given.yaw_deg)
        if given is not None and given.height is not None:
            height[index] = given.height
    if workspace.least_distance is not None:
        return Spans(low, high, height, workspace.least_distance)
    return Spans(low, high, height, float(_least_distance(found).min(initial=np.inf)) if len(low) > 1 else 0.0)


def draw_layouts(workspace: Objects, seed: int, ids: IntArray, attempts: IntArray) -> Layouts:
    """Draws for each (id, attempt). Unless the nearest is asked for, the demonstration belongs to the id alone, so that
    all are copied equally often, however many attempts each takes."""
    demonstrated, allowed = sources(workspace.motions), spans(workspace)
    known = demonstrated_layouts(demonstrated)
    count, objects = known.shape[:2]
    places = _START_WORDS + 3 * objects * _ARRANGEMENTS
    words = philox_uniform(seed, ids, 1 + attempts, places + objects)
    of_objects = words[:, _START_WORDS:places].reshape(len(ids), _ARRANGEMENTS, objects, 3)
    drawn = allowed.low + of_objects * (allowed.high - allowed.low)
    # Of one demonstration alone the least distance is that of its own objects, give or take rounding.
    fits = (
        np.ones(drawn.shape[:2], np.bool_) if objects < 2 else _least_distance(drawn) >= allowed.least_distance - 1e-9
    )
    chosen = drawn[np.arange(len(ids)), fits.argmax(1)]
    if workspace.source == "nearest":
        source = _nearest(known, chosen)
    else:
        first = philox_uniform(seed, ids, 0, 1)[:, 0]
        source = np.minimum((first * count).astype(np.int64), count - 1)
    position = demonstrated.object_position[demonstrated.first[source]]
    height = allowed.height[:, 0] + words[:, places:] * (allowed.height[:, 1] - allowed.height[:, 0])
    moved = _carried(known[source], chosen, np.where(np.isnan(height), position[..., 2], height), position)
    start = _jittered(workspace, demonstrated, source, words[:, :_START_WORDS])
    return Layouts(source, moved, start, np.asarray(fits.any(1)))


def _least_distance(layouts: FloatArray) -> FloatArray:
    """Least distance between two of the objects, in the plane, shape (...,) [m]; of layouts (..., O, 3)."""
    first, second = np.triu_indices(layouts.shape[-2], 1)
    apart = layouts[..., first, :2] - layouts[..., second, :2]
    return np.asarray(np.sqrt((apart * apart).sum(-1)).min(-1))


def _nearest(known: FloatArray, wanted: FloatArray) -> IntArray:
    """Index of the demonstration whose objects lie nearest to layouts (n, O, 3), shape (n,)."""
    best, least = np.zeros(len(wanted), np.int64), np.full(len(wanted), np.inf)
    for index, layout in enumerate(known):
        off = wanted - layout
        square = (off[..., :2] ** 2).sum((1, 2)) + (_NEAREST_RADIUS**2 * _wrapped(off[..., 2]) ** 2).sum(1)
        better = square < least
        best[better], least[better] = index, square[better]
    return best


def _wrapped(angle: FloatArray) -> FloatArray:
    """Angles brought to between -pi and pi."""
    return angle - 2 * np.pi * np.round(angle / (2 * np.pi))


def _carried(before: FloatArray, after: FloatArray, height: FloatArray, position: FloatArray) -> FloatArray:
    """Transforms (n, O, 7) from layouts to layouts (n, O, 3), and to heights (n, O), of objects at positions (n, O, 3):
    each turns about a vertical axis through its object and is then shifted."""
    moved = np.zeros((*before.shape[:2], WIDTH))
    turn = _wrapped(after[..., 2] - before[..., 2])
    moved[..., 5], moved[..., 6] = sines_cosines(turn / 2)
    x, y = position[..., 0], position[..., 1]
    sine, cosine = sines_cosines(turn)
    moved[..., 0] = after[..., 0] - (cosine * x - sine * y)
    moved[..., 1] = after[..., 1] - (sine * x + cosine * y)
    moved[..., 2] = height - position[..., 2]
    return moved


def _jittered(workspace: Objects, demonstrated: Sources, source: IntArray, u: FloatArray) -> FloatArray:
    """Transforms (n, 7) that shift the tool's first pose in any direction and turn it about any axis."""
    jitter, start = workspace.start_jitter, demonstrated.position[demonstrated.first[source]]
    shift = jitter.position * in_ball(u[:, :3])
    sine, cosine = sines_cosines(np.deg2rad(jitter.angle_deg) * u[:, 5] / 2)
    moved = np.zeros((len(source), WIDTH))
    moved[:, 3:6], moved[:, 6] = directions(u[:, 3], u[:, 4]) * sine[:, None], cosine
    moved[:, :3] = start + shift - _rotated(moved[:, 3:], start)
    return moved


def _rotated(quat: FloatArray, point: FloatArray) -> FloatArray:
    """Points (n, 3) turned by unit quaternions (n, 4)."""
    vector, scalar = quat[:, :3], quat[:, 3:]
    across = np.cross(vector, point)
    return np.asarray(point + 2 * (scalar * across + np.cross(vector, across)))
