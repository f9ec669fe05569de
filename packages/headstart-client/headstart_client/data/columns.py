"""The record: one row of Parquet is one trajectory. Every column, its shape and unit.

Lists are time-major and flattened: `joint_position` of T samples and dof joints has T*dof values, sample 0 first.
Every field and list item is required (non-nullable), which also reads 1.2 to 1.8 times faster.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

SCHEMA_VERSION = "2.0"
"""Major.minor, of the record and of a dataset's layout. A minor version only adds what older readers do without."""
READABLE_MAJORS = ("1", "2")
"""Major versions that are read; others are refused."""

PIECES_PER_SEGMENT = 7
"""A Ruckig profile has seven pieces of constant jerk for each joint."""


@dataclass(frozen=True)
class Column:
    """One column of the record.

    Attributes:
        name: its name in the file.
        dtype: Arrow type of a value.
        shape: what a row holds, in the letters of the docs; "" for a scalar.
        unit: unit of a value; "1" where it has none.
        meaning: one line for the docs and the file's metadata.
        optional: written only when the request's `columns` names it.
    """

    name: str
    dtype: pa.DataType
    shape: str
    unit: str
    meaning: str
    optional: bool = False

    @property
    def is_list(self) -> bool:
        """Whether a row holds a list of values rather than one."""
        return bool(self.shape)

    def width(self, dof: int) -> int:
        """Values in one time step of a list column; 1 for a scalar and for profile columns."""
        return {"T*dof": dof, "T*3": 3, "T*6": 6}.get(self.shape, 1)

    def field(self) -> pa.Field:
        """The Arrow field, with shape, unit and meaning as metadata."""
        dtype = pa.list_(pa.field("item", self.dtype, nullable=False)) if self.is_list else self.dtype
        metadata = {"shape": self.shape, "unit": self.unit, "meaning": self.meaning}
        return pa.field(self.name, dtype, nullable=False, metadata=metadata)


COLUMNS: tuple[Column, ...] = (
    Column("trajectory_id", pa.int64(), "", "1", "global index of the trajectory; sorted"),
    Column("length", pa.int32(), "", "1", "number of samples T = ceil(duration*rate_hz)+1"),
    Column("duration", pa.float64(), "", "s", "time until rest at the goal, its dwell included; later samples hold it"),
    Column("rate_hz", pa.float64(), "", "1/s", "samples per second"),
    Column("family", pa.string(), "", "1", "the motion family that made it"),
    Column("attempts", pa.int32(), "", "1", "candidates drawn until this one was accepted"),
    Column("joint_position", pa.float32(), "T*dof", "rad or m", "joint positions"),
    Column("joint_velocity", pa.float32(), "T*dof", "rad/s or m/s", "joint velocities"),
    Column("ee_position", pa.float32(), "T*3", "m", "tool centre point in the base frame"),
    Column("ee_rotation_6d", pa.float32(), "T*6", "1", "first two rows of the tool's rotation matrix"),
    Column("gripper", pa.float32(), "T", "1", "+1 close, -1 open"),
    Column("joint_acceleration", pa.float32(), "T*dof", "rad/s^2 or m/s^2", "joint accelerations", optional=True),
    Column(
        "profile_time",
        pa.float64(),
        "S*dof*7",
        "s",
        "durations of the pieces of S segments: a dwell is one, a straight line several",
        optional=True,
    ),
    Column(
        "profile_jerk",
        pa.float64(),
        "S*dof*7",
        "rad/s^3 or m/s^3",
        "jerk of those pieces, from rest at the first sample on; a joint that ends early waits",
        optional=True,
    ),
)
OPTIONAL_COLUMNS: tuple[str, ...] = tuple(column.name for column in COLUMNS if column.optional)

_COPY_COLUMNS: tuple[Column, ...] = (
    Column("source", pa.int32(), "", "1", "the demonstration that a row copies, by its place in the motions file"),
    Column("source_time", pa.float32(), "T", "1", "which of its steps a sample is at, as a number with a fraction"),
    Column("segment", pa.int32(), "T", "1", "segment of the demonstration, by its place in the motions file"),
)
"""Of copies of demonstrations, before those of the objects."""
_OBJECT = "object/"
_OBJECT_PARTS = {
    "position": ("T*3", "m", "the object's position in the base frame"),
    "rotation_6d": ("T*6", "1", "first two rows of the object's rotation matrix"),
}


def copy_columns(objects: Iterable[str]) -> tuple[str, ...]:
    """Names of the columns that copies of demonstrations have beside those of other rows, with these objects."""
    named = tuple(f"{_OBJECT}{name}/{part}" for name in objects for part in _OBJECT_PARTS)
    return (*(column.name for column in _COPY_COLUMNS), *named)


def _object_column(name: str) -> Column | None:
    """The column of that name, if it is an object's."""
    middle, _, part = name.removeprefix(_OBJECT).rpartition("/")
    if not name.startswith(_OBJECT) or not middle or part not in _OBJECT_PARTS:
        return None
    shape, unit, meaning = _OBJECT_PARTS[part]
    return Column(name, pa.float32(), shape, unit, meaning, optional=True)


def columns(optional: Iterable[str] = ()) -> tuple[Column, ...]:
    """The columns of a dataset, in file order, with the optional ones named; the objects' are last, as they are named.

    Raises ValueError for a name that is none.
    """
    wanted = tuple(optional)
    fixed = {column.name for column in (*COLUMNS, *_COPY_COLUMNS)}
    objects = [column for name in wanted if (column := _object_column(name)) is not None]
    unknown = set(wanted) - fixed - {column.name for column in objects}
    if unknown:
        raise ValueError(f"unknown columns {sorted(unknown)}; optional columns are {list(OPTIONAL_COLUMNS)}")
    usual = (column for column in COLUMNS if not column.optional or column.name in wanted)
    return (*usual, *(column for column in _COPY_COLUMNS if column.name in wanted), *objects)


def columns_of(schema: pa.Schema) -> tuple[Column, ...]:
    """The columns of a table of this schema, those that this release knows."""
    every = {column.name: column for column in (*COLUMNS, *_COPY_COLUMNS)}
    known = (every.get(name) or _object_column(name) for name in schema.names)
    return tuple(column for column in known if column is not None)


def schema(optional: Iterable[str] = ()) -> pa.Schema:
    """Arrow schema of a shard, with the schema version in its metadata."""
    fields = [column.field() for column in columns(optional)]
    return pa.schema(fields, metadata={"headstart_schema_version": SCHEMA_VERSION})
