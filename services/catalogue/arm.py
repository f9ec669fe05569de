"""What a catalogue entry says of an arm. An entry is data: nothing in it is code."""

import functools
import hashlib
import importlib.metadata
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.errors import RobotError


@dataclass(frozen=True)
class Arm:
    """One arm of the catalogue. Position and velocity limits come from its URDF.

    Attributes:
        name: what requests call it.
        package: the installed Python distribution that ships its files.
        root: folder inside the installation against which `package://` mesh paths resolve.
        urdf: path of the URDF below `root`.
        srdf: path below `root` of the SRDF that lists link pairs not to check for collision, or None.
        joints: the arm's joints, in the order of every joint column; all others are held at their rest.
        base_frame: frame in which poses are expressed.
        tool_frame: frame whose pose is recorded (the tool centre point).
        acceleration: greatest |acceleration| of each joint [rad/s^2].
        jerk: greatest |jerk| of each joint [rad/s^3].
        limits_source: where acceleration and jerk come from.
        home: a natural posture from which the arm works [rad].
        rest: positions of joints outside the arm [rad or m]; 0 where not named.
    """

    name: str
    package: str
    root: str
    urdf: str
    srdf: str | None
    joints: tuple[str, ...]
    base_frame: str
    tool_frame: str
    acceleration: tuple[float, ...]
    jerk: tuple[float, ...]
    limits_source: str
    home: tuple[float, ...]
    rest: tuple[tuple[str, float], ...] = ()

    @property
    def root_path(self) -> Path:
        """`root` on this machine. Raises RobotError if the package is not installed."""
        try:
            distribution = importlib.metadata.distribution(self.package)
        except importlib.metadata.PackageNotFoundError as error:
            raise RobotError(
                f"robot {self.name!r} needs the package {self.package!r}; install headstart[services]"
            ) from error
        return Path(str(distribution.locate_file(self.root)))

    @property
    def urdf_path(self) -> Path:
        """The URDF file on this machine."""
        return self._existing(self.urdf)

    @property
    def srdf_path(self) -> Path | None:
        """The SRDF file on this machine, or None if the arm has none."""
        return None if self.srdf is None else self._existing(self.srdf)

    def _existing(self, name: str) -> Path:
        path = self.root_path / name
        if not path.is_file():
            raise RobotError(f"robot {self.name!r}: {path} is missing; reinstall {self.package!r}")
        return path

    @functools.cached_property
    def content_hash(self) -> str:
        """sha256 of everything that shapes this arm's trajectories: the entry, its URDF, SRDF and collision meshes."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode())
        for path in (self.urdf_path, self.srdf_path, *self._collision_meshes()):
            digest.update(path.read_bytes() if path is not None else b"")
        return digest.hexdigest()

    def _collision_meshes(self) -> list[Path]:
        folder = self.urdf_path.parent.parent / "meshes" / "collision"
        return sorted(path for path in folder.rglob("*") if path.is_file())
