"""A robot in a ZIP archive: its URDF and its meshes, read within bounds and from nowhere else."""

import io
import stat
import zipfile
import zlib
from pathlib import PurePosixPath

from services.catalogue.mesh_hulls import MAX_BYTES, SUFFIXES
from shared.errors import RobotError
from shared.xml_reader import MAX_BYTES as MAX_URDF_BYTES

MAX_FILES = 5000
_SYSTEMS = (".DS_Store", "Thumbs.db", "desktop.ini")


def read_archive(content: bytes) -> tuple[str, bytes, dict[str, bytes]]:
    """The path of the one URDF in an archive, its bytes, and those of every mesh by its path.

    Raises:
        RobotError: it is no archive, has no URDF or more than one, is too large unpacked, or names files outside.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _read(archive)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, RuntimeError, ValueError) as error:
        raise RobotError(f"the archive can't be read: {error}") from None


def _read(archive: zipfile.ZipFile) -> tuple[str, bytes, dict[str, bytes]]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir() and not _is_systems(entry.filename)]
    if len(entries) > MAX_FILES:
        raise RobotError(f"the archive has {len(entries)} files; at most {MAX_FILES} are read")
    for entry in entries:
        path = PurePosixPath(entry.filename)
        if "\\" in entry.filename:
            raise RobotError(
                f"the archive names its files with backslashes, such as {entry.filename[:200]!r}; pack it with forward "
                "slashes, as a ZIP archive has them"
            )
        if path.is_absolute() or ".." in path.parts or ":" in entry.filename:
            raise RobotError(f"the archive names a file outside of it: {entry.filename[:200]!r}")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise RobotError(f"the archive holds a link, {entry.filename[:200]!r}; put the file itself there")
    urdfs = [entry for entry in entries if entry.filename.lower().endswith(".urdf")]
    if len(urdfs) != 1:
        found = ", ".join(repr(entry.filename[:100]) for entry in urdfs[:5]) or "none"
        raise RobotError(f"an archive holds one .urdf file and its meshes; this one has {found}")
    urdf, left = _inflate(archive, urdfs[0], MAX_URDF_BYTES), MAX_BYTES
    meshes = {}
    for entry in entries:
        if PurePosixPath(entry.filename).suffix.lower() in SUFFIXES:
            meshes[str(PurePosixPath(entry.filename))] = _inflate(archive, entry, left)
            left -= len(meshes[str(PurePosixPath(entry.filename))])
    return urdfs[0].filename, urdf, meshes


def _is_systems(name: str) -> bool:
    """Whether a file is one that a Mac or Windows adds by itself, of the same suffix as what it is about."""
    parts = name.replace("\\", "/").split("/")
    return "__MACOSX" in parts or parts[-1].startswith("._") or parts[-1] in _SYSTEMS


def _inflate(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    """A file's bytes. What its header says of its size is not believed."""
    with archive.open(entry) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise RobotError(
            f"{entry.filename[:200]!r} makes the archive too large: more than {MAX_BYTES >> 20} MiB of meshes"
        )
    return content
