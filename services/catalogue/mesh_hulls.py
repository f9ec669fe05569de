"""Convex hulls of the mesh files that a user's URDF names, read in a process of its own: a mesh reader may crash."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from services.catalogue.own_files import stl_bytes
from shared.errors import RobotError

SUFFIXES = (".stl", ".obj", ".dae", ".ply")
MAX_BYTES = 64 << 20
"""Of all meshes of a robot together."""
MAX_HULL_BYTES = 8 << 20
"""Of all their hulls."""
_PROGRAM = Path(__file__).with_name("hull_reader.py")
_WAIT_S = 45.0


def mesh_hulls(meshes: Mapping[str, bytes]) -> dict[str, bytes]:
    """The hull of each mesh as binary STL.

    Args:
        meshes: their files' bytes, by name.

    Raises:
        RobotError: one is too large, of another format, or can't be read.
    """
    if sum(map(len, meshes.values())) > MAX_BYTES:
        raise RobotError(f"the meshes have more than {MAX_BYTES >> 20} MiB together; leave some out or simplify them")
    if not meshes:
        return {}
    with tempfile.TemporaryDirectory(prefix="headstart-meshes-") as folder:
        files = {}
        for index, (name, content) in enumerate(meshes.items()):
            suffix = PurePosixPath(name).suffix.lower()
            if suffix not in SUFFIXES:
                raise RobotError(
                    f"mesh {name!r}: only {', '.join(SUFFIXES)} files are read; convert it or leave it out"
                )
            file = Path(folder, f"{index}{suffix}")
            file.write_bytes(_alone(content) if suffix == ".obj" else content)
            files[name] = file
        _read(files, folder)
        hulls = {name: stl_bytes(np.load(f"{file}.npy", allow_pickle=False)) for name, file in files.items()}
    if sum(map(len, hulls.values())) > MAX_HULL_BYTES:
        raise RobotError(f"the hulls of the meshes have more than {MAX_HULL_BYTES >> 20} MiB; simplify the meshes")
    return hulls


def _read(files: Mapping[str, Path], folder: str) -> None:
    """Has the program read the files. Raises RobotError naming the mesh it failed on."""
    listed = " ".join(file.name for file in files.values())
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(_PROGRAM), folder],
            input=listed,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=_WAIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RobotError(f"the meshes could not be read within {_WAIT_S:g} s; simplify them") from None
    if done.returncode == 0:
        return
    failed, _, why = done.stdout.strip().partition(" ")
    name = next((name for name, file in files.items() if file.name == failed), None)
    if name is None:
        # It crashed or ran out of its limits: at the first mesh that has no hull yet.
        name = next(name for name, file in files.items() if not Path(f"{file}.npy").exists())
        why = "the reader crashed on it, or it needs too much memory or time"
    raise RobotError(f"mesh {name!r} can't be read: {why}")


def _alone(content: bytes) -> bytes:
    """An OBJ file without the lines that name other files."""
    lines = content.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.lstrip().lower().startswith((b"mtllib", b"call", b"csh")))
