"""Where the mesh files of a user's URDF are looked for, and never outside."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from services.catalogue.mesh_hulls import MAX_BYTES
from shared.errors import RobotError

_PACKAGE = "package://"


class MeshSource(Protocol):
    """Gives mesh files by the names they have in a URDF."""

    def find(self, name: str) -> bytes | None:
        """A mesh's bytes, or None if there is no such file. Raises RobotError if the name leads outside."""
        ...


class MeshFolder:
    """A folder on this machine."""

    def __init__(self, folder: Path, urdf_folder: Path) -> None:
        """Looks below `folder`; names without a package are relative to `urdf_folder`, which should lie in it."""
        self._folder = folder.resolve()
        self._inside = urdf_folder.resolve()

    def find(self, name: str) -> bytes | None:
        """See MeshSource."""
        base = PurePosixPath()
        if self._inside.is_relative_to(self._folder):
            base = PurePosixPath(self._inside.relative_to(self._folder).as_posix())
        for candidate in places(name, base):
            path = (self._folder / candidate).resolve()
            # Links are followed first.
            if not path.is_relative_to(self._folder):
                raise _outside(name)
            if path.is_file():
                if path.stat().st_size > MAX_BYTES:
                    raise RobotError(f"mesh {name!r} has more than {MAX_BYTES >> 20} MiB; simplify it")
                return path.read_bytes()
        return None


class MeshFiles:
    """Files in memory, by their paths in an archive."""

    def __init__(self, files: Mapping[str, bytes] | None = None, urdf: str = "") -> None:
        """Looks in `files`; names without a package are relative to the folder of the file `urdf`."""
        self._files = files or {}
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


def places(name: str, base: PurePosixPath) -> list[PurePosixPath]:
    """Relative paths at which a mesh may be, likeliest first.

    Args:
        name: its file name in the URDF: `package://PACKAGE/PATH`, or a path relative to the URDF's folder.
        base: that folder.

    Raises:
        RobotError: the name is absolute, of another scheme, or climbs out of the folder that is searched.
    """
    if name.startswith(_PACKAGE):
        path = PurePosixPath(name.removeprefix(_PACKAGE))
        choices = [path, PurePosixPath(*path.parts[1:])]
    else:
        choices = [base / name]
    if ":" in name.removeprefix(_PACKAGE) or "\\" in name or any(choice.is_absolute() for choice in choices):
        raise _outside(name)
    return [_inside(name, choice) for choice in choices if choice.parts]


def _inside(name: str, path: PurePosixPath) -> PurePosixPath:
    kept: list[str] = []
    for part in path.parts:
        if part != "..":
            kept.append(part)
        elif kept:
            kept.pop()
        else:
            raise _outside(name)
    return PurePosixPath(*kept)


def _outside(name: str) -> RobotError:
    return RobotError(
        f"mesh {name!r} leads outside the robot's own files; name it package://PACKAGE/PATH, or relative to the URDF"
    )
