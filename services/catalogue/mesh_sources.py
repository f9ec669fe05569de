"""Where the mesh files of a user's URDF are looked for, and never outside."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from services.catalogue.mesh_hulls import MAX_BYTES
from shared.errors import RobotError

_PACKAGE = "package://"
_URDF_FOLDERS = ("urdf", "urdfs", "robot", "robots", "description", "model", "models", "xacro")
_MOST_ABOVE = 4
"""Folders that are looked at for a package's."""


class MeshSource(Protocol):
    """Gives mesh files by the names they have in a URDF."""

    @property
    def remedy(self) -> str:
        """What to do where a file is missing."""
        ...

    def find(self, name: str) -> bytes | None:
        """A mesh's bytes, or None if there is no such file. Raises RobotError if the name leads outside."""
        ...


class MeshFolder:
    """A folder on this machine."""

    def __init__(self, folder: Path, urdf_folder: Path) -> None:
        """Looks below `folder`; names without a package are relative to `urdf_folder`, which should lie in it."""
        self._folder = folder.resolve()
        self._inside = urdf_folder.resolve()
        self.remedy = f"they were looked for in {folder}; name the folder that holds them with --meshes"

    def find(self, name: str) -> bytes | None:
        """See MeshSource."""
        base = PurePosixPath()
        if self._inside.is_relative_to(self._folder):
            base = PurePosixPath(self._inside.relative_to(self._folder).as_posix())
        for candidate in places(name, base, f"; {self.remedy}"):
            path = (self._folder / candidate).resolve()
            # Links are followed first.
            if not path.is_relative_to(self._folder):
                raise _outside(name, f"; {self.remedy}")
            if path.is_file():
                if path.stat().st_size > MAX_BYTES:
                    raise RobotError(f"mesh {name!r} has more than {MAX_BYTES >> 20} MiB; simplify it")
                return path.read_bytes()
        return None


def package_root(urdf: Path, content: bytes) -> Path:
    """The folder of the package that a URDF lies in, as packages of robots are usually laid out; else the URDF's own.

    That is the nearest folder above it with a package.xml, or with the name of a package that the URDF's meshes are
    in; or the one above a folder that is called `urdf` or alike.

    Args:
        urdf: path of the URDF.
        content: its bytes.
    """
    packages = {name.decode(errors="replace") for name in re.findall(rb"package://([^/\"'<>]+)/", content)}
    own = urdf.resolve().parent
    for folder in (own, *own.parents)[:_MOST_ABOVE]:
        if (folder / "package.xml").is_file() or folder.name in packages:
            return folder
    return own.parent if own.name.lower() in _URDF_FOLDERS else own


class MeshFiles:
    """Files in memory, by their paths in an archive."""

    def __init__(self, files: Mapping[str, bytes] | None = None, urdf: str = "") -> None:
        """Looks in `files`; names without a package are relative to the folder of the file `urdf`."""
        self._files = files or {}
        self.remedy = "send a ZIP archive of the URDF and its meshes"
        self._base = PurePosixPath(urdf).parent

    def find(self, name: str) -> bytes | None:
        """See MeshSource."""
        # An archive often holds a folder that holds everything.
        tops = {"", *(PurePosixPath(file).parts[0] for file in self._files if "/" in file)}
        for candidate in places(name, self._base):
            for top in sorted(tops):
                if (content := self._files.get(str(top / candidate))) is not None:
                    return content
        return None


def places(name: str, base: PurePosixPath, remedy: str = "") -> list[PurePosixPath]:
    """Relative paths at which a mesh may be, likeliest first.

    Args:
        name: its file name in the URDF: `package://PACKAGE/PATH`, or a path relative to the URDF's folder.
        base: that folder.
        remedy: what else to do where the name leads outside, for the message.

    Raises:
        RobotError: the name is absolute, of another scheme, or climbs out of the folder that is searched.
    """
    if name.startswith(_PACKAGE):
        path = PurePosixPath(name.removeprefix(_PACKAGE))
        choices = [path, PurePosixPath(*path.parts[1:])]
    else:
        choices = [base / name]
    if ":" in name.removeprefix(_PACKAGE) or "\\" in name or any(choice.is_absolute() for choice in choices):
        raise _outside(name, "")
    return [_inside(name, choice, remedy) for choice in choices if choice.parts]


def _inside(name: str, path: PurePosixPath, remedy: str) -> PurePosixPath:
    kept: list[str] = []
    for part in path.parts:
        if part != "..":
            kept.append(part)
        elif kept:
            kept.pop()
        else:
            raise _outside(name, remedy)
    return PurePosixPath(*kept)


def _outside(name: str, remedy: str) -> RobotError:
    how = remedy or "; name it package://PACKAGE/PATH, or relative to the URDF"
    return RobotError(f"mesh {name!r} leads outside the robot's own files{how}")
