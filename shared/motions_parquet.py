"""A motions file: demonstrated motions as one Parquet table, a row to a demonstration of T control steps.

`python -m trainer motions` writes it; the service takes it from anyone, so every value is checked and bounded here.
"""

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shared.demonstrated_motions import (
    FIXED,
    FORMAT,
    FREE,
    MAX_OBJECTS,
    VERSION,
    DemonstratedMotion,
    DemonstratedMotions,
    Held,
    MovedObject,
    Poses,
    Segment,
    TurnsWith,
    check_held,
)
from shared.errors import MotionsError

MAX_BYTES = 32 << 20
"""Of a motions file."""
MAX_UNPACKED = 128 << 20
"""Of its columns, as its own index says."""
MAX_MOTIONS = 2000
MAX_STEPS = 20_000
"""Of one motion."""
MAX_ALL_STEPS = 500_000
MAX_SEGMENTS = 64
"""Of one motion."""
_FARTHEST = 10.0
"""Greatest coordinate [m]."""
_ORTHONORMAL = 1e-2
_NAME_LENGTH = 64
_POSE = {"position": 3, "rotation_6d": 6}
_STEPS = ("commanded_position", "commanded_rotation_6d", "reached_position", "reached_rotation_6d", "gripper")
"""Columns with numbers for each step."""
_LISTS = ("segment_end", "segment_relative_to", "segment_turns_with", "held_index", "held_first", "held_end")


def to_parquet(motions: DemonstratedMotions) -> bytes:
    """The file that `from_parquet` turns back into equal motions. Raises MotionsError if it would be too large."""
    columns: dict[str, list[Any]] = {"name": [motion.name for motion in motions.motions]}
    for motion in motions.motions:
        for name, values in motion.columns().items():
            columns.setdefault(_column(motions, name), []).append(values.reshape(-1))
    arrays = [pa.array(values) for values in columns.values()]
    metadata = {"headstart": json.dumps(motions.header())}
    table = pa.Table.from_arrays(arrays, names=list(columns)).replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=False)
    content: bytes = sink.getvalue().to_pybytes()
    if len(content) > MAX_BYTES:
        raise MotionsError(f"would have {len(content) >> 20} MiB, {MAX_BYTES >> 20} are possible; use fewer")
    return content


def from_parquet(content: bytes) -> DemonstratedMotions:
    """Reads what `to_parquet` wrote, from anyone. Raises MotionsError, which says where it is wrong."""
    table = _table(content)
    task, robot, rate_hz, objects = _read_header(table)
    numbers = [f"object/{thing.name}" for thing in objects]
    missing = {"name", *_STEPS, *_LISTS} | {f"{name}/{part}" for name in numbers for part in _POSE}
    for name in sorted(missing - set(table.column_names)):
        raise MotionsError(f"has no column '{name}'")
    if not 1 <= table.num_rows <= MAX_MOTIONS:
        raise MotionsError(f"has {table.num_rows} motions; 1 to {MAX_MOTIONS} are possible")
    motions = tuple(_motion(table, row, objects) for row in range(table.num_rows))
    if (total := sum(motion.steps for motion in motions)) > MAX_ALL_STEPS:
        raise MotionsError(f"has {total} steps; {MAX_ALL_STEPS} are possible")
    if len({motion.name for motion in motions}) < len(motions):
        raise MotionsError("two motions have the same name")
    return DemonstratedMotions(task, robot, rate_hz, objects, motions)


def _column(motions: DemonstratedMotions, name: str) -> str:
    """Name of a column; DemonstratedMotion.columns numbers the objects."""
    kind, _, index = name.partition(":")
    return f"object/{motions.objects[int(index)].name}/{kind}" if index else kind


def _table(content: bytes) -> pa.Table:
    if len(content) > MAX_BYTES:
        raise MotionsError(f"has more than {MAX_BYTES >> 20} MiB; use fewer demonstrations")
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
        # By the number of values: what is the same again and again takes no bytes until it is read.
        values = sum(group.column(place).num_values for group in groups for place in range(group.num_columns))
        if 8 * values > MAX_UNPACKED or sum(group.total_byte_size for group in groups) > MAX_UNPACKED:
            raise MotionsError(f"has more than {MAX_UNPACKED >> 20} MiB unpacked; use fewer demonstrations")
        return file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise MotionsError(f"is no Parquet file: {str(error).splitlines()[0]:.200}") from None


def _read_header(table: pa.Table) -> tuple[str, str, float, tuple[MovedObject, ...]]:
    try:
        header = json.loads((table.schema.metadata or {}).get(b"headstart", b"null"))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or (header.get("format"), header.get("version")) != (FORMAT, VERSION):
        raise MotionsError(f"is not of format {FORMAT}, version {VERSION}; `python -m trainer motions` writes it")
    task, robot, rate_hz, listed = (header.get(key) for key in ("task", "robot", "rate_hz", "objects"))
    if not isinstance(rate_hz, int | float) or isinstance(rate_hz, bool) or not 1 <= rate_hz <= 1000:
        raise MotionsError("its rate_hz must be a number from 1 to 1000")
    if not isinstance(listed, list) or len(listed) > MAX_OBJECTS:
        raise MotionsError(f"its objects must be a list of at most {MAX_OBJECTS}")
    objects = tuple(_read_object(entry) for entry in listed)
    if len({thing.name for thing in objects}) < len(objects):
        raise MotionsError("two objects have the same name")
    return _text(task, "task"), _text(robot, "robot"), float(rate_hz), objects


def _read_object(entry: Any) -> MovedObject:
    if not isinstance(entry, dict) or entry.keys() != {"name", "yaw_symmetry"}:
        raise MotionsError("each of its objects must have a name and a yaw_symmetry")
    symmetry = entry["yaw_symmetry"]
    if not isinstance(symmetry, int) or isinstance(symmetry, bool) or not 1 <= symmetry <= 360:
        raise MotionsError("the yaw_symmetry of an object must be a whole number from 1 to 360")
    name = _text(entry["name"], "object's name")
    if not all(letter.isalnum() or letter in "_-." for letter in name):
        raise MotionsError("an object's name may have letters, digits, '_', '-' and '.' only")
    return MovedObject(name, symmetry)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _NAME_LENGTH or not value.isprintable():
        raise MotionsError(f"its {what} must be 1 to {_NAME_LENGTH} printable characters")
    return value


def _motion(table: pa.Table, row: int, objects: tuple[MovedObject, ...]) -> DemonstratedMotion:
    name = _text(table["name"][row].as_py(), "motions' names")

    def numbers(column: str) -> NDArray[Any]:
        try:
            values = table[column][row].values.to_numpy(zero_copy_only=False)
        except (AttributeError, pa.ArrowException):
            values = np.empty(0, object)
        if values.dtype.kind not in "iuf":
            raise MotionsError(f"column '{column}' of {name} holds no list of numbers")
        return np.asarray(values)

    gripper = numbers("gripper").astype(np.float64)
    steps = len(gripper)
    if not 2 <= steps <= MAX_STEPS:
        raise MotionsError(f"{name} has {steps} steps; 2 to {MAX_STEPS} are possible")
    if not (np.abs(gripper) <= 1).all():
        raise MotionsError(f"the gripper of {name} must be from -1 (open) to +1 (close)")

    def poses(prefix: str) -> Poses:
        position, rotation_6d = (numbers(f"{prefix}{part}").astype(np.float64) for part in _POSE)
        if (len(position), len(rotation_6d)) != (3 * steps, 6 * steps):
            raise MotionsError(f"the poses '{prefix}' of {name} are not of {steps} steps, as its gripper is")
        rows = rotation_6d.reshape(steps, 2, 3)
        off = np.abs(rows @ rows.swapaxes(1, 2) - np.eye(2))
        if not (np.abs(position) <= _FARTHEST).all() or not (off <= _ORTHONORMAL).all():
            raise MotionsError(f"the poses '{prefix}' of {name} hold positions beyond {_FARTHEST:g} m, or no rotations")
        return Poses(position.reshape(steps, 3), rotation_6d.reshape(steps, 6))

    lists = {column: numbers(column) for column in _LISTS}
    if any(values.dtype.kind != "i" for values in lists.values() if len(values)):
        raise MotionsError(f"the segments of {name} must be whole numbers")
    motion = DemonstratedMotion(
        name, poses("commanded_"), poses("reached_"), gripper,
        tuple(poses(f"object/{thing.name}/") for thing in objects),
        _segments(lists, name, steps, len(objects)), _held(lists, name, steps, len(objects)),
    )  # fmt: skip
    check_held(motion)
    return motion


def _segments(lists: Mapping[str, NDArray[Any]], name: str, steps: int, objects: int) -> tuple[Segment, ...]:
    ends, relative_to, turns = (lists[f"segment_{part}"].tolist() for part in ("end", "relative_to", "turns_with"))
    if not (len(ends) == len(relative_to) == len(turns) and 1 <= len(ends) <= MAX_SEGMENTS):
        raise MotionsError(f"{name} must have 1 to {MAX_SEGMENTS} segments, each with an end, an object and a turn")
    if not all(a < b for a, b in zip([0, *ends], [*ends, steps + 1], strict=True)) or ends[-1] != steps:
        raise MotionsError(f"the segments of {name} must end in order of time, the last at step {steps}")
    if not all(FIXED <= index < objects for index in relative_to) or not all(turn in (0, 1) for turn in turns):
        raise MotionsError(f"a segment of {name} is relative to an object that is not there, or turns with nothing")
    for end, (before, after) in zip(ends, pairwise(relative_to), strict=False):
        if before != after and FREE not in (before, after):
            raise MotionsError(f"at step {end} of {name} two segments meet that are relative to different things; "
                               "there must be a free one between them")  # fmt: skip
    known = get_args(TurnsWith)
    return tuple(Segment(end, thing, known[turn]) for end, thing, turn in zip(ends, relative_to, turns, strict=True))


def _held(lists: Mapping[str, NDArray[Any]], name: str, steps: int, objects: int) -> tuple[Held, ...]:
    index, first, end = (lists[f"held_{part}"].tolist() for part in ("index", "first", "end"))
    if not len(index) == len(first) == len(end) <= MAX_SEGMENTS:
        raise MotionsError(f"what {name} holds needs an object, a first step and an end each, {MAX_SEGMENTS} at most")
    held = tuple(Held(*parts) for parts in zip(index, first, end, strict=True))
    if not all(0 <= one.index < objects and 0 <= one.first < one.end <= steps for one in held):
        raise MotionsError(f"what {name} holds is no object, or lies outside its {steps} steps")
    if not all(a.first <= b.first and (a.end <= b.first or a.index != b.index) for a, b in pairwise(held)):
        raise MotionsError(f"what {name} holds must be in order of time")
    return held
