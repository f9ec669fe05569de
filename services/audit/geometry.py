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
from services.audit.kinematics import Kinematics
from services.audit.spheres import corners, cover
from shared.errors import RobotError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

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

    Left out are pairs that the arm's SRDF says need no check, pairs of one body and of neighbours along the arm, and
    those that touch in its home posture. What the arm doesn't move may be in a keep-out.

    Raises:
        RobotError: a shape can't be read.
    """
    meshes = _read_shapes(kinematics)
    robot = meshes.ngeoms
    _add_keep_outs(kinematics, meshes, claims.keep_out)
    joint = np.array([shape.parentJoint for shape in meshes.geometryObjects])
    mover = kinematics.mover[joint]
    pairs = _links_that_can_meet(kinematics, meshes, robot) if claims.self_collision else []
    pairs += [(a, b) for b in range(robot, meshes.ngeoms) for a in range(robot) if mover[a] >= 0]
    for a, b in pairs:
        meshes.addCollisionPair(pin.CollisionPair(a, b))
    hulls = meshes.copy()
    for shape in hulls.geometryObjects:
        if isinstance(shape.geometry, coal.BVHModelBase):
            shape.geometry = _hull(np.array(shape.geometry.vertices()))
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
        travel=np.array([_travel(mover, reach, a, b) for a, b in pairs]).reshape(-1, kinematics.dof),
    )


def _travel(mover: IntArray, reach: list[FloatArray], first: int, second: int) -> FloatArray:
    """Only the joints between two shapes move one towards the other."""
    inner, outer = sorted((first, second), key=lambda shape: int(mover[shape]))
    travel = np.array(reach[outer])
    travel[: mover[inner] + 1] = 0.0
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


def _links_that_can_meet(kinematics: Kinematics, meshes: Any, robot: int) -> list[tuple[int, int]]:
    shapes, frames = meshes.geometryObjects, kinematics.model.frames
    mover = [kinematics.mover[shape.parentJoint] for shape in shapes]
    link = [frames[shape.parentFrame].name for shape in list(shapes)[:robot]]
    unchecked = kinematics.arm.files.unchecked_pairs()
    model, data, placed = kinematics.model, kinematics.model.createData(), meshes.createData()
    home = kinematics.configurations(np.array([kinematics.arm.home]))[0]
    pin.updateGeometryPlacements(model, data, meshes, placed, home)
    found = []
    for a, b in itertools.combinations(range(robot), 2):
        if abs(mover[a] - mover[b]) > 1 and frozenset((link[a], link[b])) not in unchecked:
            result = coal.CollisionResult()
            first, second = (coal.Transform3s(placed.oMg[i].rotation, placed.oMg[i].translation) for i in (a, b))
            request = coal.CollisionRequest()
            if not coal.collide(shapes[a].geometry, first, shapes[b].geometry, second, request, result):
                found.append((a, b))
    return found


def _hull(points: FloatArray) -> Any:
    corners = coal.StdVec_Vec3s()
    for point in points:
        corners.append(point)
    return coal.Convex.convexHull(corners, True, "Qt")


def _reach(kinematics: Kinematics, joint: int, spheres: FloatArray) -> FloatArray:
    """How far each joint of the arm moves any point of a shape, at most, for each unit of its own motion, (dof,).

    For a hinge that is the point's distance from its axis, at most the sum of the translations on the way there.
    """
    model, limits = kinematics.model, kinematics.limits
    result = np.zeros(kinematics.dof)
    farthest = float((np.linalg.norm(spheres[1:, :3], axis=1) + spheres[1:, 3]).max())
    while joint > 0:
        number = kinematics.mover[joint]
        if number >= 0 and number != kinematics.mover[model.parents[joint]]:
            slides = kinematics.slides(joint)
            result[number] = 1.0 if slides else farthest
            farthest += max(-limits.lower[number], limits.upper[number]) if slides else 0.0
        farthest += kinematics.length(joint)
        joint = model.parents[joint]
    return result
