"""A user's robot beside its datasets: `robot/robot.urdf`, the hulls of its meshes, and `robot/robot.json`.

The folder alone is enough to go on with a dataset and to audit it, on any machine. It is read as a stranger's.
"""

from typing import Annotated

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from services.catalogue.arm import Arm
from services.catalogue.chain import MAX_DOF
from services.catalogue.mesh_hulls import MAX_HULL_BYTES
from services.catalogue.own_files import MESH_PREFIX, OwnFiles
from services.catalogue.urdf_reader import read_urdf
from shared.errors import RobotError
from shared.storage import Storage
from shared.xml_reader import MAX_BYTES

_FOLDER = MESH_PREFIX.removeprefix("package://").rstrip("/")
_URDF, _SAID = f"{_FOLDER}/robot.urdf", f"{_FOLDER}/robot.json"
OWN_NAME = r"^[A-Za-z0-9_]{1,32}-[0-9a-f]{12}$"
"""What names of users' robots look like: the URDF's name and a part of the content's hash."""

_Text = Annotated[str, Field(max_length=10_000)]
_PerJoint = Annotated[tuple[FiniteFloat, ...], Field(max_length=MAX_DOF)]


class _Said(BaseModel):
    """robot.json: what an Arm says beside its files."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=OWN_NAME)]
    title: _Text
    base_frame: _Text
    tool_frame: _Text
    acceleration: _PerJoint
    jerk: _PerJoint
    limits_source: _Text
    home: _PerJoint
    notes: Annotated[tuple[_Text, ...], Field(max_length=100)]


def write_robot(storage: Storage, arm: Arm) -> None:
    """Writes a user's arm; one of the catalogue is left to its package. What is there already stays as it is."""
    if not isinstance(arm.files, OwnFiles):
        return
    said = _Said(**{name: getattr(arm, name) for name in _Said.model_fields})
    storage.prepare((_FOLDER,))
    for name, content in arm.files.hulls:
        storage.create(f"{_FOLDER}/{name}", pa.py_buffer(content))
    storage.create(_URDF, pa.py_buffer(arm.files.urdf()))
    storage.create(_SAID, pa.py_buffer(said.model_dump_json(indent=1).encode()))


def read_robot(storage: Storage) -> Arm:
    """The arm that `write_robot` wrote. Raises RobotError if it is missing, damaged or changed."""
    try:
        said = _Said.model_validate_json(_read(storage, _SAID, MAX_BYTES))
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(map(str, first["loc"]))
        raise RobotError(f"{storage.where}/{_SAID}: {where}: {first['msg']}; restore it") from None
    text = _read(storage, _URDF, MAX_BYTES)
    urdf = read_urdf(text, f"{storage.where}/{_URDF}")
    meshes = {shape.mesh for shapes in urdf.links.values() for shape in shapes if shape.kind == "mesh"}
    hulls = tuple((name, _read(storage, f"{_FOLDER}/{name}", MAX_HULL_BYTES)) for name in sorted(map(_file, meshes)))
    arm = Arm(files=OwnFiles(text.decode(), hulls), **dict(said))
    if arm.urdf.encode() != text or not arm.name.endswith(arm.content_hash[:12]):
        raise RobotError(
            f"{storage.where}/{_FOLDER}: holds another robot than {arm.name!r}, or a changed one; restore it"
        )
    return arm


def _file(mesh: str) -> str:
    """Name of a hull's file. Only such as we write are read, so none leads anywhere else."""
    name = mesh.removeprefix(MESH_PREFIX)
    if not name.endswith(".stl") or not name.removesuffix(".stl").isalnum():
        raise RobotError(f"{_URDF}: mesh {mesh!r} is none of its own; restore the file")
    return name


def _read(storage: Storage, name: str, most: int) -> bytes:
    content = storage.read(name)
    if content is None:
        raise RobotError(f"{storage.where}/{name} is missing; restore it, or make the dataset again")
    if content.size > most:
        raise RobotError(f"{storage.where}/{name} has {content.size:,} bytes; at most {most:,} are read")
    return bytes(content)
