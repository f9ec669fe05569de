"""What contains a shape: spheres that cover it, and the corners of a polyhedron around it."""

import itertools
from typing import Any

import coal
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SPHERES = 8
"""Small spheres that cover a shape together; a power of 2."""


def cover(shape: Any) -> FloatArray:
    """A sphere around a shape and SPHERES that cover it together, in its joint's frame, shape (SPHERES + 1, 4).

    Each is a centre and a radius [m]. A half-space has none.
    """
    geometry, placement = shape.geometry, shape.placement
    if isinstance(geometry, coal.Halfspace):
        return np.zeros((SPHERES + 1, 4))
    if isinstance(geometry, coal.BVHModelBase):
        points = np.array(geometry.vertices())
        index = np.array([[geometry.tri_indices(i)[k] for k in range(3)] for i in range(geometry.num_tris)])
        parts = [points, *_halves(points[index], SPHERES)]
    else:
        geometry.computeLocalAABB()
        low, high = geometry.aabb_local.min_, geometry.aabb_local.max_
        parts = [_box(low, high), *_slices(low, high)]
    return np.array([_sphere(part.reshape(-1, 3) @ placement.rotation.T + placement.translation) for part in parts])


def corners(shape: Any) -> FloatArray:
    """Corners of a polyhedron around a shape, in its joint's frame [m], shape (V, 3); a half-space has none."""
    geometry, placement = shape.geometry, shape.placement
    if isinstance(geometry, coal.Halfspace):
        return np.zeros((0, 3))
    if isinstance(geometry, coal.ConvexBase):
        points = np.array([geometry.point(i) for i in range(geometry.num_points)])
    else:
        geometry.computeLocalAABB()
        points = _box(geometry.aabb_local.min_, geometry.aabb_local.max_)
    return np.asarray(points @ placement.rotation.T + placement.translation)


def _sphere(points: FloatArray) -> FloatArray:
    centre = (points.min(0) + points.max(0)) / 2
    return np.append(centre, np.linalg.norm(points - centre, axis=1).max())


def _box(low: FloatArray, high: FloatArray) -> FloatArray:
    """Its corners, shape (8, 3)."""
    return np.array(list(itertools.product(*np.stack([low, high], axis=1))))


def _slices(low: FloatArray, high: FloatArray) -> list[FloatArray]:
    """A box cut in SPHERES parts across its longest side."""
    longest = int(np.argmax(high - low))
    parts = []
    for begin, end in itertools.pairwise(np.linspace(low[longest], high[longest], SPHERES + 1)):
        near, far = low.copy(), high.copy()
        near[longest], far[longest] = begin, end
        parts.append(_box(near, far))
    return parts


def _halves(triangles: FloatArray, parts: int) -> list[FloatArray]:
    """Triangles (n, 3, 3) cut in as many parts, each time across the longest side."""
    if parts == 1 or len(triangles) < 2:
        return [triangles] * parts
    middle = triangles.mean(1)
    order = np.argsort(middle[:, int(np.ptp(middle, axis=0).argmax())], kind="stable")
    half = len(order) // 2
    return _halves(triangles[order[:half]], parts // 2) + _halves(triangles[order[half:]], parts // 2)
