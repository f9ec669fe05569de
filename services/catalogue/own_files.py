"""The files of a user's robot, in memory: they travel with a plan, and are kept beside a dataset."""

import hashlib
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import RobotError

MESH_PREFIX = "package://robot/"
"""Before the names of mesh files in the URDF: they lie beside it, in a folder called `robot`."""

_STL = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


@dataclass(frozen=True)
class OwnFiles:
    """A URDF of services.catalogue.urdf_text and the convex hulls of its meshes.

    Attributes:
        text: the URDF.
        hulls: (file name, binary STL) of each mesh that it names, the name without MESH_PREFIX.
    """

    text: str
    hulls: tuple[tuple[str, bytes], ...] = ()

    @property
    def where(self) -> str:
        """See RobotFiles."""
        return "robot.urdf"

    def urdf(self) -> bytes:
        """See RobotFiles."""
        return self.text.encode()

    def mesh(self, name: str) -> bytes:
        """See RobotFiles."""
        for file, content in self.hulls:
            if MESH_PREFIX + file == name:
                return content
        raise RobotError(f"{self.where}: its mesh {name!r} is missing")

    def mesh_points(self, name: str) -> NDArray[np.float64]:
        """See RobotFiles."""
        return stl_points(self.mesh(name), name)

    def unchecked_pairs(self) -> frozenset[frozenset[str]]:
        """None: pairs that always touch are found where links are compared."""
        return frozenset()


def stl_bytes(triangles: NDArray[np.float64]) -> bytes:
    """A binary STL of triangles, shape (n, 3, 3)."""
    records = np.zeros(len(triangles), _STL)
    records["corners"] = triangles
    return b"\0" * 80 + struct.pack("<I", len(records)) + records.tobytes()


def stl_points(content: bytes, name: str) -> NDArray[np.float64]:
    """The distinct corners of a binary STL, shape (n, 3). Raises RobotError if it is not one."""
    if len(content) < 84 or len(content) != 84 + _STL.itemsize * struct.unpack_from("<I", content, 80)[0]:
        raise RobotError(f"mesh {name!r} is no binary STL")
    corners = np.frombuffer(content, _STL, offset=84)["corners"].reshape(-1, 3)
    if not len(corners) or not np.isfinite(corners).all():
        raise RobotError(f"mesh {name!r} has no corners, or some that are not finite")
    return np.unique(corners, axis=0).astype(np.float64)


def hull_name(content: bytes) -> str:
    """File name of a hull: equal hulls are one file."""
    return f"{hashlib.sha256(content).hexdigest()[:16]}.stl"
