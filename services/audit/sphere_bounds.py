"""Lower bounds on the distances of pairs of shapes, by the spheres that cover them."""

from typing import Any

import coal
import numpy as np
from numpy.typing import NDArray

from services.audit.geometry import Geometry
from services.audit.pinocchio_model import Frames

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def sphere_centres(geometry: Geometry, frames: Frames) -> dict[int, FloatArray]:
    """Centres (3, 1, n) of the sphere around each shape that is in a pair."""
    return {
        shape: _centres(frames, int(geometry.joint[shape]), geometry.spheres[shape, :1])
        for shape in np.unique(geometry.pairs).tolist()
    }


def sphere_gaps(geometry: Geometry, centres: dict[int, FloatArray], pair: int) -> FloatArray:
    """Lower bound on the distance of a pair at each sample, by one sphere around each shape, shape (N,) [m]."""
    first, second = (centres[shape] for shape in geometry.pairs[pair].tolist())
    return _gap(geometry, pair, first, second, slice(0, 1))


def closer_gaps(geometry: Geometry, frames: Frames, pair: int, samples: IntArray) -> FloatArray:
    """The same at some samples, by the small spheres, or by the corners for a plane, shape (m,) [m]."""
    a, b = geometry.pairs[pair].tolist()
    if isinstance(geometry.meshes.geometryObjects[b].geometry, coal.Halfspace):
        return _above_plane(geometry, frames, a, geometry.meshes.geometryObjects[b], samples)
    centres = [_centres(frames, int(geometry.joint[shape]), geometry.spheres[shape, 1:], samples) for shape in (a, b)]
    return _gap(geometry, pair, centres[0], centres[1], slice(1, None))


def _above_plane(geometry: Geometry, frames: Frames, shape: int, plane: Any, samples: IntArray) -> FloatArray:
    rotation, position = _at(frames[geometry.joint[shape]], samples)
    normal = plane.placement.rotation @ plane.geometry.n
    offset = plane.geometry.d + normal @ plane.placement.translation
    along = np.einsum("rcn,r->cn", rotation, normal)
    return np.asarray((geometry.corners[shape] @ along).min(0) + normal @ position - offset)


def _centres(frames: Frames, joint: int, spheres: FloatArray, samples: IntArray | None = None) -> FloatArray:
    """Centres (3, S, n) of spheres (S, 4) that a joint moves."""
    rotation, position = frames[joint] if samples is None else _at(frames[joint], samples)
    return np.stack([spheres[:, :3] @ rotation[axis] + position[axis] for axis in range(3)])


def _at(frame: tuple[FloatArray, FloatArray], samples: IntArray) -> tuple[FloatArray, FloatArray]:
    """A frame at some samples; one that doesn't move is the same at all."""
    rotation, position = frame
    return (rotation[..., samples], position[..., samples]) if rotation.shape[2] > 1 else frame


def _gap(geometry: Geometry, pair: int, first: FloatArray, second: FloatArray, which: slice) -> FloatArray:
    """Least gap between the spheres of both shapes, or of the first and a solid."""
    a, b = geometry.pairs[pair].tolist()
    radius = geometry.spheres[a, which, 3, None]
    if geometry.keep_out[pair]:
        return np.asarray((_above(geometry.meshes.geometryObjects[b], first) - radius).min(0))
    least = np.full(np.broadcast_shapes(first.shape[2:], second.shape[2:]), np.inf)
    x, y, z = first
    for k, other in enumerate(geometry.spheres[b, which, 3].tolist()):
        square = (x - second[0, k]) ** 2
        square += (y - second[1, k]) ** 2
        square += (z - second[2, k]) ** 2
        gap = np.sqrt(square, out=square)
        gap -= radius + other
        np.minimum(least, gap.min(0), out=least)
    return least


def _above(solid: Any, points: FloatArray) -> FloatArray:
    """Distances of points (3, S, n) from a keep-out, shape (S, n); below a plane they are negative."""
    shape, placement = solid.geometry, solid.placement
    local = np.tensordot(placement.rotation.T, points - placement.translation[:, None, None], 1)
    if isinstance(shape, coal.Halfspace):
        return np.asarray(np.tensordot(shape.n, local, 1) - shape.d)
    outside = np.maximum(np.abs(local) - shape.halfSide[:, None, None], 0)
    return np.asarray(np.sqrt((outside**2).sum(0)))
