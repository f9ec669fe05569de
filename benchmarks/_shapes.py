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


def solid(kind: dict[str, Any], base: Any) -> Any:
    """A keep-out of a request, a half space or a box, beside an arm whose base is placed so."""
    if kind["kind"] == "half_space":
        normal = np.array(kind["normal"])
        return pin.GeometryObject("table", 0, base, coal.Halfspace(normal / np.linalg.norm(normal), kind["offset"]))
    low, high = np.array(kind["min"]), np.array(kind["max"])
    name = f"box {kind['min']} {kind['max']}"
    return pin.GeometryObject(name, 0, base * pin.SE3(np.eye(3), (low + high) / 2), coal.Box(high - low))
