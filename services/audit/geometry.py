"""A robot's collision geometry and the keep-outs, as Pinocchio and Coal read them, and which pairs must stay apart.

Pinocchio reads the shapes from the URDF that its kinematics are read from. Meshes are held twice: as they are, which is
what decides, and as their convex hulls, whose distances are quick. Spheres that cover each shape rule most pairs out.
"""

import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coal
import numpy as np
import pinocchio as pin
from numpy.typing import NDArray

from services.audit.claims import BoxClaim, Claims, HalfSpaceClaim
from services.audit.pinocchio_model import Kinematics
from services.audit.spheres import corners, cover
from shared.errors import RobotError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TOUCHING_SHARE, TOUCHING_POSTURES, TOUCHING_DISTANCE = 0.25, 400, 0.005
"""Pairs of links with hulls nearer than this [m] in a larger share of so many random postures are left out."""
FOLLOWER_SHARE = 0.9
"""Likewise of pairs with a link that mimics the arm from beside it; those of a linkage touch nearly always."""
_SCHEME = "package://"


@dataclass(frozen=True, eq=False)
class Geometry:
    """Shapes of a robot and of keep-outs, and P pairs of them.

    Attributes:
        meshes: Pinocchio's geometry, whose collision pairs these are.
        hulls: the same with meshes replaced by their convex hulls.
        joint: of the model that each shape is fixed to, shape (G,).
        spheres: that cover each shape, as spheres.cover makes them, shape (G, SPHERES + 1, 4).
        corners: of a polyhedron around each shape, in that joint's frame [m], each (V, 3).
        pairs: the two shapes of each pair, the second one a keep-out's if one is, shape (P, 2).
        keep_out: which pairs have one, shape (P,).
        travel: how far each joint of the arm moves one towards the other, at most, for each unit of its motion,
            shape (P, dof).
    """

    meshes: Any
    hulls: Any
    joint: IntArray
    spheres: FloatArray
    corners: tuple[FloatArray, ...]
    pairs: IntArray
    keep_out: NDArray[np.bool_]
    travel: FloatArray


def read_geometry(kinematics: Kinematics, claims: Claims) -> Geometry:
    """The geometry of a dataset's robot and keep-outs.

    Left out are pairs that the arm's SRDF says need no check, pairs of one body and of neighbours along the arm, those
    that touch in its home posture, and those whose hulls touch so often that they say nothing of the links (TOUCHING).
    What the arm doesn't move may be in a keep-out.

    Raises:
        RobotError: a shape can't be read.
    """
    meshes = _read_shapes(kinematics)
    robot = meshes.ngeoms
    _add_keep_outs(kinematics, meshes, claims.keep_out)
    joint = np.array([shape.parentJoint for shape in meshes.geometryObjects])
    paths = [kinematics.moving_path(moved_by) for moved_by in joint.tolist()]
    hulls = meshes.copy()
    for shape in hulls.geometryObjects:
        if isinstance(shape.geometry, coal.BVHModelBase):
            shape.geometry = _hull(np.array(shape.geometry.vertices()))
    pairs = _links_that_can_meet(kinematics, meshes, hulls, robot) if claims.self_collision else []
    pairs += [(a, b) for b in range(robot, meshes.ngeoms) for a in range(robot) if paths[a]]
    for geometry in (meshes, hulls):
        geometry.removeAllCollisionPairs()
        for a, b in pairs:
            geometry.addCollisionPair(pin.CollisionPair(a, b))
    spheres = [cover(shape) for shape in meshes.geometryObjects]
    reach = [_reach(kinematics, *item) for item in zip(joint.tolist(), spheres, strict=True)]
    array = np.array(pairs, np.int64).reshape(-1, 2)
    return Geometry(
        meshes=meshes,
        hulls=hulls,
        joint=joint,
        spheres=np.array(spheres),
        corners=tuple(corners(shape) for shape in hulls.geometryObjects),
        pairs=array,
        keep_out=array[:, 1] >= robot,
        travel=np.array([_travel(kinematics, paths, reach, a, b) for a, b in pairs]).reshape(-1, kinematics.dof),
    )


def _travel(
    kinematics: Kinematics, paths: list[list[int]], reach: list[dict[int, float]], first: int, second: int
) -> FloatArray:
    """Only the joints between two shapes, which move one of them alone, move one towards the other, shape (dof,)."""
    travel = np.zeros(kinematics.dof)
    for shape, other in ((first, second), (second, first)):
        for joint in set(paths[shape]) - set(paths[other]):
            number, multiplier, _ = kinematics.drives[joint]
            travel[number] += abs(multiplier) * reach[shape][joint]
    return travel


def _read_shapes(kinematics: Kinematics) -> Any:
    arm, text = kinematics.arm, kinematics.arm.files.urdf().decode()
    with tempfile.TemporaryDirectory(prefix="headstart-audit-") as folder:
        for name in arm.meshes():
            path = Path(folder, name.removeprefix(_SCHEME))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(arm.files.mesh(name))
        try:
            return pin.buildGeomFromUrdfString(
                kinematics.model, text, pin.GeometryType.COLLISION, package_dirs=[folder]
            )
        except (ValueError, RuntimeError) as error:
            raise RobotError(f"{arm.files.where}: its collision shapes can't be read: {error}") from error


def _add_keep_outs(kinematics: Kinematics, meshes: Any, solids: tuple[BoxClaim | HalfSpaceClaim, ...]) -> None:
    base = kinematics.base_placement
    for number, solid in enumerate(solids):
        placement = base
        if isinstance(solid, HalfSpaceClaim):
            shape: Any = coal.Halfspace(solid.unit_normal, solid.offset)
        else:
            low, high = np.array(solid.min), np.array(solid.max)
            shape, placement = coal.Box(high - low), base * pin.SE3(np.eye(3), (low + high) / 2)
        meshes.addGeometryObject(pin.GeometryObject(f"keep_out {number}", 0, placement, shape))


def _links_that_can_meet(kinematics: Kinematics, meshes: Any, hulls: Any, robot: int) -> list[tuple[int, int]]:
    frames, arm = kinematics.model.frames, kinematics.arm_joints
    paths = [kinematics.moving_path(shape.parentJoint) for shape in meshes.geometryObjects]
    follows = [any(joint not in arm for joint in path) for path in paths]
    link = [frames[shape.parentFrame].name for shape in list(meshes.geometryObjects)[:robot]]
    unchecked = kinematics.arm.files.unchecked_pairs()
    for a, b in itertools.combinations(range(robot), 2):
        if not _are_neighbours(paths[a], paths[b]) and frozenset((link[a], link[b])) not in unchecked:
            for geometry in (meshes, hulls):
                geometry.addCollisionPair(pin.CollisionPair(a, b))
    lower, upper = kinematics.limits.lower, kinematics.limits.upper
    anywhere = np.random.default_rng(0).uniform(lower, upper, (TOUCHING_POSTURES, len(lower)))
    at_home = _distances(kinematics, meshes, np.array([kinematics.arm.home]))[0] <= 0
    touching = _distances(kinematics, hulls, anywhere) <= TOUCHING_DISTANCE
    pairs = [(pair.first, pair.second) for pair in meshes.collisionPairs]
    of_links: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for number, (a, b) in enumerate(pairs):
        of_links[link[a], link[b]] = touching[:, number] | of_links.get((link[a], link[b]), False)
    often = [
        of_links[link[a], link[b]].mean() > (FOLLOWER_SHARE if follows[a] or follows[b] else TOUCHING_SHARE)
        for a, b in pairs
    ]
    return [pair for pair, *touches in zip(pairs, at_home, often, strict=True) if not any(touches)]


def _are_neighbours(one: list[int], other: list[int]) -> bool:
    """Whether two shapes move with the same joint, or one of them on the other, by their paths of moving joints."""
    return one == other or one[1:] == other or other[1:] == one


def _distances(kinematics: Kinematics, geometry: Any, q: FloatArray) -> FloatArray:
    """Distance of each collision pair of a geometry in each posture of the arm (n, dof), shape (n, P) [m]."""
    data, placed, distances = kinematics.model.createData(), geometry.createData(), []
    for posture in kinematics.configurations(q):
        pin.computeDistances(kinematics.model, data, geometry, placed, posture)
        distances.append([result.min_distance for result in placed.distanceResults])
    return np.array(distances).reshape(len(q), -1)


def _hull(points: FloatArray) -> Any:
    corners = coal.StdVec_Vec3s()
    for point in points:
        corners.append(point)
    return coal.Convex.convexHull(corners, True, "Qt")


def _reach(kinematics: Kinematics, joint: int, spheres: FloatArray) -> dict[int, float]:
    """How far each joint that moves a shape moves any point of it, at most, for each unit of its own motion.

    For a hinge that is the point's distance from its axis, at most the sum of the translations on the way there.
    """
    model, limits = kinematics.model, kinematics.limits
    result: dict[int, float] = {}
    farthest = float((np.linalg.norm(spheres[1:, :3], axis=1) + spheres[1:, 3]).max())
    while joint > 0:
        if joint in kinematics.drives:
            slides = kinematics.slides(joint)
            result[joint] = 1.0 if slides else farthest
            number, multiplier, offset = kinematics.drives[joint]
            ends = (multiplier * limits.lower[number] + offset, multiplier * limits.upper[number] + offset)
            farthest += max(map(abs, ends)) if slides else 0.0
        farthest += kinematics.length(joint)
        joint = model.parents[joint]
    return result
