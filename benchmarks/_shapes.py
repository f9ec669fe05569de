"""An arm's collision shapes as Pinocchio reads them from its URDF, and solids beside it: for walks of stored motion."""

import tempfile
from pathlib import Path
from typing import Any

import coal
import numpy as np
import pinocchio as pin

from services.catalogue import Arm


def read_shapes(arm: Arm, model: Any) -> Any:
    """The URDF's collision shapes, meshes as they are, without any pairs."""
    with tempfile.TemporaryDirectory(prefix="headstart-shapes-") as folder:
        for name in arm.meshes():
            path = Path(folder, name.removeprefix("package://"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(arm.files.mesh(name))
        urdf = arm.files.urdf().decode()
        shapes = pin.buildGeomFromUrdfString(model, urdf, pin.GeometryType.COLLISION, package_dirs=[folder])
    shapes.removeAllCollisionPairs()
    return shapes


def as_hulls(shapes: Any) -> Any:
    """The same shapes, with the convex hulls of their meshes."""
    hulls = shapes.copy()
    for shape in hulls.geometryObjects:
        if isinstance(shape.geometry, coal.BVHModelBase):
            corners = coal.StdVec_Vec3s()
            for corner in np.array(shape.geometry.vertices()):
                corners.append(corner)
            shape.geometry = coal.Convex.convexHull(corners, True, "Qt")
    return hulls


def moving_joints(model: Any, joint: int) -> list[int]:
    """The joints, by index, that move what is fixed to this one, itself first."""
    path = []
    while joint > 0:
        path.append(joint)
        joint = model.parents[joint]
    return path


def reach(model: Any, shape: Any, joint: int) -> float:
    """How far a point of a shape can be from the axis of a joint, 0 if that doesn't move it [m]."""
    path = moving_joints(model, shape.parentJoint)
    if joint not in path:
        return 0.0
    shape.geometry.computeLocalAABB()
    far = float(np.linalg.norm(shape.placement.act(shape.geometry.aabb_center)) + shape.geometry.aabb_radius)
    between = path[: path.index(joint)]
    return sum((float(np.linalg.norm(model.jointPlacements[one].translation)) for one in between), far)


def solid(kind: dict[str, Any], base: Any) -> Any:
    """A keep-out of a request, a half space or a box, beside an arm whose base is placed so."""
    if kind["kind"] == "half_space":
        normal = np.array(kind["normal"])
        return pin.GeometryObject("table", 0, base, coal.Halfspace(normal / np.linalg.norm(normal), kind["offset"]))
    low, high = np.array(kind["min"]), np.array(kind["max"])
    name = f"box {kind['min']} {kind['max']}"
    return pin.GeometryObject(name, 0, base * pin.SE3(np.eye(3), (low + high) / 2), coal.Box(high - low))
