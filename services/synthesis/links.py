"""The links of an arm as convex hulls of their collision geometry, and the pairs of them that can meet.

A hull contains its link, so links found apart are apart. Pairs that the arm's SRDF disables, and pairs of one
body or of neighbouring joints, are left out.
"""

import functools
import itertools
import xml.etree.ElementTree
from dataclasses import dataclass
from typing import Any

import coal
import numpy as np
import pinocchio as pin
from numpy.typing import NDArray

from services.catalogue import Arm
from services.synthesis.robot_model import RobotModel
from shared.errors import RobotError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Links:
    """L links, each fixed to one joint's frame of the robot's chain; joint -1 is the base.

    Attributes:
        names: of the links.
        joint: joint that moves each link, from 0, or -1, shape (L,).
        hulls: Coal's convex hull of each, in its joint's frame [m].
        capsules: a capsule around each hull: two end points and a radius [m], shape (L, 7).
        pairs: links that can meet, shape (P, 2).
        reach: greatest distance from each joint's axis of any point that it moves, in any posture [m], shape (dof,).
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
    arm = robot.arm
    full = pin.buildModelFromUrdf(str(arm.urdf_path))
    try:
        geometry = pin.buildGeomFromUrdf(
            full, str(arm.urdf_path), pin.GeometryType.COLLISION, package_dirs=[str(arm.root_path)]
        )
    except ValueError as error:
        raise RobotError(f"robot {arm.name!r}: its collision meshes can't be read: {error}") from error
    vertices, joints = _vertices_by_link(robot, full, geometry)
    names = tuple(vertices)
    joint = np.array([joints[name] for name in names])
    capsules = np.array([_capsule(vertices[name]) for name in names])
    pairs = np.array(
        [
            (a, b)
            for a, b in itertools.combinations(range(len(names)), 2)
            if abs(joint[a] - joint[b]) > 1 and frozenset((names[a], names[b])) not in _disabled(arm)
        ],
        np.int64,
    ).reshape(-1, 2)
    hulls = tuple(_hull(vertices[name]) for name in names)
    return Links(names, joint, hulls, capsules, pairs, _reach(robot, names, joint, vertices))


def _vertices_by_link(robot: RobotModel, full: Any, geometry: Any) -> tuple[dict[str, FloatArray], dict[str, int]]:
    """Vertices of each link's collision geometry in the chain frame of the joint that moves it, and that joint."""
    reference = pin.neutral(full)
    for name, value in robot.arm.rest:
        reference[full.joints[full.getJointId(name)].idx_q] = value
    locked = [full.getJointId(name) for name in full.names[1:] if name not in robot.arm.joints]
    _, reduced = pin.buildReducedModel(full, geometry, locked, reference)
    points: dict[str, list[FloatArray]] = {}
    joints: dict[str, int] = {}
    for original, item in zip(geometry.geometryObjects, reduced.geometryObjects, strict=True):
        link = full.frames[original.parentFrame].name
        placement = robot.chain_offset(item.parentJoint - 1) * item.placement
        corners = _corners(robot.arm, item)
        points.setdefault(link, []).append(corners @ placement.rotation.T + placement.translation)
        joints[link] = item.parentJoint - 1
    return {link: np.concatenate(parts) for link, parts in points.items()}, joints


def _corners(arm: Arm, item: Any) -> FloatArray:
    """Vertices of a mesh, or corners of a box, in the object's own frame [m]."""
    shape = item.geometry
    if isinstance(shape, coal.BVHModelBase):
        return np.array(shape.vertices(), np.float64)
    if isinstance(shape, coal.Box):
        return np.asarray(np.array(list(itertools.product((-1.0, 1.0), repeat=3))) * shape.halfSide)
    raise RobotError(
        f"robot {arm.name!r}: collision object {item.name!r} is a {type(shape).__name__}; only meshes and boxes are "
        "supported. Ask for self_collision false"
    )


def _hull(vertices: FloatArray) -> Any:
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


def _disabled(arm: Arm) -> set[frozenset[str]]:
    """Link pairs that the arm's SRDF says need no check."""
    if arm.srdf_path is None:
        return set()
    root = xml.etree.ElementTree.parse(arm.srdf_path).getroot()
    return {frozenset((pair.attrib["link1"], pair.attrib["link2"])) for pair in root.iter("disable_collisions")}


def _reach(robot: RobotModel, names: tuple[str, ...], joint: IntArray, vertices: dict[str, FloatArray]) -> FloatArray:
    """Sum of the translations from each joint to the farthest point behind it: no posture takes a point farther."""
    extent = np.zeros(robot.dof)
    for name, moved_by in zip(names, joint, strict=True):
        if moved_by >= 0:
            extent[moved_by] = max(extent[moved_by], np.linalg.norm(vertices[name], axis=1).max())
    lengths = np.linalg.norm(robot.chain_translation, axis=1)
    reach = extent.copy()
    for j in range(robot.dof - 2, -1, -1):
        reach[j] = max(extent[j], lengths[j + 1] + reach[j + 1])
    return reach
