"""The links of an arm as convex hulls of their collision geometry, and the pairs of them that can meet.

A hull contains its link, so links found apart are apart. Pairs that the arm's SRDF disables, and pairs of one
body or of neighbouring joints, are left out.
"""

import functools
import itertools
from dataclasses import dataclass
from typing import Any

import coal
import numpy as np
import pinocchio as pin
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from services.catalogue import Arm
from services.catalogue.urdf import Shape
from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.numerics.elementary import sines_cosines
from services.synthesis.numerics.rotations import lengths, product
from shared.plain_sum import plain_sum

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CIRCLE_CORNERS = 24
"""Corners of the polygon drawn around a circle: 0.9 % wider than it."""
THINNEST = 1e-4
"""A link thinner than this [m] is given this much on either side."""
_SQUARINGS = 12
EMPTY_VOLUME = 1e-4
"""A link's shapes have one hull together if it contains no more than this beside them [m^3]; a torso's don't."""


@dataclass(frozen=True, eq=False)
class Links:
    """L links, or parts of links, each fixed to a frame: of the base (-1), of a joint, or of one that follows a joint.

    Attributes:
        names: of the links.
        joint: the frame of each link, numbered as in kinematics.Followers, shape (L,).
        hulls: Coal's convex hull of each, in its joint's frame [m].
        capsules: a capsule around each hull: two end points and a radius [m], shape (L, 7).
        pairs: links that can meet, shape (P, 2).
        reach: how far each frame's own motion moves any point of each link, as `reach` says, shape (L, frames).
    """

    names: tuple[str, ...]
    joint: IntArray
    hulls: tuple[Any, ...]
    capsules: FloatArray
    pairs: IntArray
    reach: FloatArray


@functools.lru_cache(maxsize=8)
def robot_links(robot: RobotModel) -> Links:
    """The robot's links; kept for the life of the process. Raises RobotError."""
    parts = [(link, *part) for link in robot.arm.description.links for part in _parts(robot, link)]
    unchecked = robot.arm.files.unchecked_pairs()
    names, joints = tuple(part[0] for part in parts), [part[1] for part in parts]
    pairs = [
        (a, b)
        for a, b in itertools.combinations(range(len(parts)), 2)
        if not _are_neighbours(robot, joints[a], joints[b]) and frozenset((names[a], names[b])) not in unchecked
    ]
    return Links(
        names=names,
        joint=np.array(joints, np.int64),
        hulls=tuple(_hull(vertices) for _, _, vertices in parts),
        capsules=np.array([capsule(vertices) for _, _, vertices in parts]).reshape(-1, 7),
        pairs=np.array(pairs, np.int64).reshape(-1, 2),
        reach=np.array([reach(robot, joint, vertices) for _, joint, vertices in parts]).reshape(-1, robot.frames),
    )


def _are_neighbours(robot: RobotModel, a: int, b: int) -> bool:
    """Whether two frames are one, or one of them is moved right on the other."""
    return a == b or (a >= 0 and robot.parent(a) == b) or (b >= 0 and robot.parent(b) == a)


def _parts(robot: RobotModel, link: str) -> list[tuple[int, FloatArray]]:
    """The frame that moves a link, and vertices in it: of its shapes together, or of each."""
    joint, in_joint = robot.link(link)
    shapes = []
    for shape in robot.arm.description.links[link]:
        origin = pin.SE3(pin.rpy.rpyToMatrix(*shape.origin.rpy), np.array(shape.origin.xyz))
        placement = robot.chain_offset(joint) * (in_joint * origin)
        shapes.append(_moved(_corners(robot.arm, shape), placement))
    if len(shapes) > 1:
        together = np.concatenate(shapes)
        if _volume(together) - plain_sum(map(_volume, shapes)) <= EMPTY_VOLUME:
            return [(joint, together)]
    return [(joint, vertices) for vertices in shapes]


def _moved(points: FloatArray, placement: Any) -> FloatArray:
    """Points (n, 3) moved by an SE3. Not by BLAS, whose last digits depend on the processor."""
    x, y, z = placement.rotation.T
    return np.asarray(points[:, :1] * x + points[:, 1:2] * y + points[:, 2:] * z + placement.translation)


def _volume(vertices: FloatArray) -> float:
    return float(_hull(vertices).computeVolume())


def _corners(arm: Arm, shape: Shape) -> FloatArray:
    """Points whose convex hull contains the shape, in the shape's own frame [m], shape (n, 3)."""
    if shape.kind == "mesh":
        return arm.files.mesh_points(shape.mesh) * shape.size
    if shape.kind == "box":
        return np.array(list(itertools.product((-0.5, 0.5), repeat=3))) * shape.size
    radius = shape.size[0]
    if shape.kind == "sphere":
        return radius * _around_unit_sphere()
    circle, half = radius * _around_unit_circle(), np.array([0.0, 0.0, shape.size[1] / 2])
    return np.concatenate([circle - half, circle + half])


@functools.cache
def _around_unit_circle() -> FloatArray:
    """Corners of a regular polygon around the unit circle of the xy plane, shape (n, 3)."""
    angle = np.arange(CIRCLE_CORNERS) * 2 * np.pi / CIRCLE_CORNERS
    sine, cosine = sines_cosines(angle)
    corners = np.stack([cosine, sine, np.zeros(CIRCLE_CORNERS)], axis=1)
    return np.asarray(corners / sines_cosines(np.array([np.pi / CIRCLE_CORNERS]))[1])


@functools.cache
def _around_unit_sphere() -> FloatArray:
    """Corners of a polyhedron around the unit sphere, shape (n, 3)."""
    cube = np.array(list(itertools.product(np.linspace(-1, 1, 5), repeat=3)))
    corners = cube[np.abs(cube).max(1) == 1]
    corners /= lengths(corners)[:, None]
    nearest_face = -ConvexHull(corners).equations[:, 3].max()
    return np.asarray(corners / nearest_face)


def _hull(vertices: FloatArray) -> Any:
    # Coal crashes on what has no volume.
    for direction in np.linalg.svd(vertices - vertices.mean(0), full_matrices=False)[2]:
        axis = np.round(direction, 9)
        if np.ptp((vertices * axis).sum(1)) < THINNEST:
            vertices = np.concatenate([vertices - THINNEST * axis, vertices + THINNEST * axis])
    points = coal.StdVec_Vec3s()
    for vertex in vertices:
        points.append(vertex)
    return coal.Convex.convexHull(points, True, "Qt")


def capsule(vertices: FloatArray) -> FloatArray:
    """A capsule around the points, along their longest principal axis: two end points and a radius, shape (7,)."""
    centre = (vertices.min(0) + vertices.max(0)) / 2
    axis = _principal_axis(vertices - vertices.mean(0))
    along, beside = _split(vertices - centre, axis)
    aside = _split((beside.min(0) + beside.max(0))[None] / 2, axis)[1]
    across = lengths(beside - aside)
    radius = float(across.max()) * (1 + 1e-9)
    cap = np.sqrt(radius * radius - across * across)
    low, high = float((along + cap).min()), float((along - cap).max())
    if low > high:
        low = high = (low + high) / 2
        radius = float(np.sqrt((along - low) ** 2 + across * across).max()) * (1 + 1e-9)
    ends = centre + aside + np.array([[low], [high]]) * axis
    return np.array([*ends[0], *ends[1], radius])


def _split(points: FloatArray, axis: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How far points (n, 3) lie along a unit axis, (n,), and what is left of them beside it, (n, 3)."""
    along = (points * axis).sum(1)
    return along, points - along[:, None] * axis


def _principal_axis(points: FloatArray) -> FloatArray:
    """The direction in which points (n, 3) about their mean lie farthest apart, a unit vector.

    The squares of their covariance, each squared again, become a projection on it; a singular value decomposition's
    last digits depend on the processor, and of a cube so does all of its answer.
    """
    covariance = (points[:, :, None] * points[:, None, :]).sum(0)
    for _ in range(_SQUARINGS):
        whole = covariance[0, 0] + covariance[1, 1] + covariance[2, 2]
        covariance = product(covariance / whole, covariance / whole)
    column = covariance[np.diagonal(covariance).argmax()]
    return np.asarray(column / lengths(column))


def reach(robot: RobotModel, joint: int, points: FloatArray) -> FloatArray:
    """How far each frame moves any of the points (n, 3) in frame `joint`, at most, for each unit of its own motion.

    From the axis of a hinge it is no farther to a point than the translations on the way there add up to.
    Shape (frames,) [m/rad, or 1 for a slide]; 0 for the frames that don't move the points.
    """
    limits, following = robot.spec.limits, robot.followers
    slides = np.append(robot.chain.slides, following.slides)
    steps = np.append(lengths(robot.chain.translation[:-1]), lengths(following.translation))
    ends = following.multiplier * np.stack([limits.lower, limits.upper])[:, following.source] + following.offset
    travel = np.append(np.maximum(-limits.lower, limits.upper), np.abs(ends).max(axis=0))
    steps += np.where(slides, travel, 0.0)
    farthest, result = float(lengths(points).max()), np.zeros(robot.frames)
    while joint >= 0:
        result[joint] = 1.0 if slides[joint] else farthest
        farthest += float(steps[joint])
        joint = robot.parent(joint)
    return result
