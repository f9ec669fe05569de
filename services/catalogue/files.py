"""Where an arm's files are: in an installed package, or in memory."""

import functools
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import coal
import numpy as np
from numpy.typing import NDArray

from shared.errors import RobotError
from shared.xml_reader import read_xml

_MESH_SCHEME = "package://"


class RobotFiles(Protocol):
    """The files of one robot."""

    @property
    def where(self) -> str:
        """How messages call its URDF."""
        ...

    def urdf(self) -> bytes:
        """The URDF. Raises RobotError if it is missing."""
        ...

    def mesh(self, name: str) -> bytes:
        """The mesh that the URDF calls `name`. Raises RobotError if it is missing."""
        ...

    def mesh_points(self, name: str) -> NDArray[np.float64]:
        """Its vertices, shape (n, 3), before the URDF's scale. Raises RobotError if it can't be read."""
        ...

    def unchecked_pairs(self) -> frozenset[frozenset[str]]:
        """Pairs of links that are never checked for collision."""
        ...


@dataclass(frozen=True)
class PackageFiles:
    """Files of an installed Python distribution.

    Attributes:
        package: the distribution.
        root: folder inside the installation against which `package://` mesh paths resolve.
        urdf_file: path of the URDF below `root`.
        srdf_file: path below `root` of the SRDF that lists link pairs not to check for collision, or None.
    """

    package: str
    root: str
    urdf_file: str
    srdf_file: str | None = None

    @property
    def where(self) -> str:
        """Name of the URDF."""
        return f"{self.package}: {Path(self.urdf_file).name}"

    @property
    def root_path(self) -> Path:
        """`root` on this machine. Raises RobotError if the package is not installed."""
        try:
            distribution = importlib.metadata.distribution(self.package)
        except importlib.metadata.PackageNotFoundError as error:
            raise RobotError(f"this robot needs the package {self.package!r}; install headstart[services]") from error
        return Path(str(distribution.locate_file(self.root)))

    @property
    def urdf_path(self) -> Path:
        """The URDF file on this machine."""
        return self._existing(self.urdf_file)

    def mesh_path(self, name: str) -> Path:
        """The file that the URDF calls `name`."""
        return self._existing(name.removeprefix(_MESH_SCHEME))

    def urdf(self) -> bytes:
        """See RobotFiles."""
        return self.urdf_path.read_bytes()

    def mesh(self, name: str) -> bytes:
        """See RobotFiles."""
        return self.mesh_path(name).read_bytes()

    def mesh_points(self, name: str) -> NDArray[np.float64]:
        """See RobotFiles."""
        return _mesh_points(self.mesh_path(name))

    def unchecked_pairs(self) -> frozenset[frozenset[str]]:
        """What the SRDF says need not be checked."""
        return _disabled(self._existing(self.srdf_file)) if self.srdf_file else frozenset()

    def _existing(self, name: str) -> Path:
        path = self.root_path / name
        if not path.is_file():
            raise RobotError(f"{path} is missing; reinstall {self.package!r}")
        return path


@functools.lru_cache(maxsize=64)
def _mesh_points(path: Path) -> NDArray[np.float64]:
    """Vertices of a mesh file. A robot may have the same motor in many places."""
    try:
        points = np.array(coal.MeshLoader().load(str(path)).vertices(), np.float64)
    except (RuntimeError, ValueError) as error:
        raise RobotError(f"{path} can't be read as a mesh: {error}") from error
    points.flags.writeable = False
    return points


@functools.lru_cache(maxsize=32)
def _disabled(srdf: Path) -> frozenset[frozenset[str]]:
    root = read_xml(srdf.read_bytes(), srdf.name)
    pairs = root.all("disable_collisions")
    return frozenset(frozenset((pair.attributes["link1"], pair.attributes["link2"])) for pair in pairs)
