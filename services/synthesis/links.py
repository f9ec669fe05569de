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
from services.synthesis.robot_model import RobotModel, link_frame

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CIRCLE_CORNERS = 24
"""Corners of the polygon drawn around a circle: 0.9 % wider than it."""
THINNEST = 1e-4
"""A link thinner than this [m] is given this much on either side."""
EMPTY_VOLUME = 1e-4
"""A link's shapes have one hull together if it contains no more than this beside them [m^3]; a torso's don't."""


@dataclass(frozen=True, eq=False)
class Links:
    """L links, or parts of links, each fixed to one joint's frame of the robot's chain; joint -1 is the base.

    Attributes:
        names: of the links.
        joint: joint that moves each link, from 0, or -1, shape (L,).
        hulls: Coal's convex hull of each, in its joint's frame [m].
        capsules: a capsule around each hull: two end points and a radius [m], shape (L, 7).
        pairs: links that can meet, shape (P, 2).
        reach: how far each joint moves any point of each link, as `reach` says, shape (L, dof).
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
        if abs(joints[a] - joints[b]) > 1 and frozenset((names[a], names[b])) not in unchecked
    ]
    return Links(
        names=names,
        joint=np.array(joints, np.int64),
        hulls=tuple(_hull(vertices) for _, _, vertices in parts),
        capsules=np.array([_capsule(vertices) for _, _, vertices in parts]).reshape(-1, 7),
        pairs=np.array(pairs, np.int64).reshape(-1, 2),
        reach=np.array([reach(robot, joint, vertices) for _, joint, vertices in parts]).reshape(-1, robot.dof),
    )


def _parts(robot: RobotModel, link: str) -> list[tuple[int, FloatArray]]:
    """The joint that moves a link, and vertices in that joint's chain frame: of its shapes together, or of each."""
    frame = robot.model.frames[link_frame(robot.model, link)]
    joint, shapes = frame.parentJoint - 1, []
    for shape in robot.arm.description.links[link]:
        origin = pin.SE3(pin.rpy.rpyToMatrix(*shape.origin.rpy), np.array(shape.origin.xyz))
        placement = robot.chain_offset(joint) * (frame.placement * origin)
        shapes.append(_corners(robot.arm, shape) @ placement.rotation.T + placement.translation)
    if len(shapes) > 1:
        together = np.concatenate(shapes)
        if _volume(together) - sum(map(_volume, shapes)) <= EMPTY_VOLUME:
            return [(joint, together)]
    return [(joint, vertices) for vertices in shapes]


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
    corners = np.stack([np.cos(angle), np.sin(angle), np.zeros(CIRCLE_CORNERS)], axis=1)
    return np.asarray(corners / np.cos(np.pi / CIRCLE_CORNERS))


@functools.cache
def _around_unit_sphere() -> FloatArray:
    """Corners of a polyhedron around the unit sphere, shape (n, 3)."""
    cube = np.array(list(itertools.product(np.linspace(-1, 1, 5), repeat=3)))
    corners = cube[np.abs(cube).max(1) == 1]
    corners /= np.linalg.norm(corners, axis=1, keepdims=True)
    nearest_face = -ConvexHull(corners).equations[:, 3].max()
    return np.asarray(corners / nearest_face)


def _hull(vertices: FloatArray) -> Any:
    # Coal crashes on what has no volume.
    for axis in np.linalg.svd(vertices - vertices.mean(0), full_matrices=False)[2]:
        if np.ptp(vertices @ axis) < THINNEST:
            vertices = np.concatenate([vertices - THINNEST * axis, vertices + THINNEST * axis])
    points = coal.StdVec_Vec3s()
    for vertex in vertices:
        points.append(vertex)
    return coal.Convex.convexHull(points, True, "Qt")


def _capsule(vertices: FloatArray) -> FloatArray:
    """A capsule around the points, along their longest principal axis: two end points and a radius, shape (7,)."""
    centre = (vertices.min(0) + vertices.max(0)) / 2
    axes = np.linalg.svd(vertices - vertices.mean(0), full_matrices=False)[2]
    local = (vertices - centre) @ axes.T
    middle = (local.min(0) + local.max(0)) / 2
    local = local - middle
    across = np.hypot(local[:, 1], local[:, 2])
    radius = float(across.max()) * (1 + 1e-9)
    cap = np.sqrt(radius**2 - across**2)
    low, high = float((local[:, 0] + cap).min()), float((local[:, 0] - cap).max())
    if low > high:
        low = high = (low + high) / 2
        radius = float(np.hypot(local[:, 0] - low, across).max())
    ends = [centre + (middle + np.array([along, 0.0, 0.0])) @ axes for along in (low, high)]
    return np.array([*ends[0], *ends[1], radius])


def reach(robot: RobotModel, joint: int, points: FloatArray) -> FloatArray:
    """How far each joint moves any of the points that `joint` moves (n, 3), at most, for each unit of its own motion.

    From the axis of a hinge it is no farther to a point than the translations on the way there add up to.
    Shape (dof,) [m/rad, or 1 for a slide]; 0 for the joints that don't move the points.
    """
    slides, limits = robot.chain.slides, robot.spec.limits
    lengths = np.linalg.norm(robot.chain.translation[:-1], axis=1)
    lengths += np.where(slides, np.maximum(-limits.lower, limits.upper), 0.0)
    farthest, result = float(np.linalg.norm(points, axis=1).max()), np.zeros(robot.dof)
    for j in range(joint, -1, -1):
        result[j] = 1.0 if slides[j] else farthest
        farthest += float(lengths[j])
    return result
