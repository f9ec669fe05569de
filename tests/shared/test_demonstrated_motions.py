"""Motions files: read back as they were written, and refused where they say what can't be."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared import motions_parquet
from shared.demonstrated_motions import (
    FREE,
    DemonstratedMotion,
    DemonstratedMotions,
    Held,
    MovedObject,
    Segment,
    check_held,
)
from shared.errors import MotionsError
from shared.motions_file import read_motions, write_motions
from tests.stacking import motions


def with_first(**changes: Any) -> DemonstratedMotions:
    made = motions(2)
    return replace(made, motions=(replace(made.motions[0], **changes), *made.motions[1:]))


def test_a_file_is_read_back_and_its_content_has_one_hash(tmp_path: Path) -> None:
    made = motions(3)
    read = motions_parquet.from_parquet(motions_parquet.to_parquet(made))
    assert read == made
    assert (read.task, read.robot, read.rate_hz, read.objects) == ("stacking", "panda", 20.0, made.objects)
    for ours, theirs in zip(read.motions, made.motions, strict=True):
        assert (ours.name, ours.segments, ours.held) == (theirs.name, theirs.segments, theirs.held)
        np.testing.assert_array_equal(ours.commanded.position, theirs.commanded.position)
        np.testing.assert_array_equal(ours.reached.rotation_6d, theirs.reached.rotation_6d)
        np.testing.assert_array_equal(ours.gripper, theirs.gripper)
        np.testing.assert_array_equal(ours.objects[1].position, theirs.objects[1].position)
    # However the file is packed.
    table = pq.read_table(pa.BufferReader(motions_parquet.to_parquet(made)))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="none", row_group_size=1)
    assert motions_parquet.from_parquet(sink.getvalue().to_pybytes()).content_sha256 == made.content_sha256
    write_motions(made, tmp_path / "new" / "motions.parquet")
    assert read_motions(tmp_path / "new" / "motions.parquet") == made


@pytest.mark.parametrize(
    "other",
    [
        replace(motions(2), task="other"),
        replace(motions(2), rate_hz=10.0),
        replace(motions(2), objects=(MovedObject("block", 2), MovedObject("base", 4))),
        with_first(gripper=-motions(1).motions[0].gripper),
        with_first(segments=(Segment(motions(1).motions[0].steps, 0),)),
        with_first(name="data/other"),
        replace(motions(2), motions=motions(2).motions[:1]),
    ],
)
def test_other_content_has_another_hash(other: DemonstratedMotions) -> None:
    assert other.content_sha256 != motions(2).content_sha256


def test_each_step_knows_its_segment() -> None:
    motion = motions(1).motions[0]
    ends = [segment.end for segment in motion.segments]
    expected = [sum(step >= end for end in ends) for step in range(motion.steps)]
    assert motion.segment_of.tolist() == expected


def changed(change: Callable[[dict[str, Any]], None]) -> bytes:
    """A file whose columns, or header, were changed as lists of numbers."""
    table = pq.read_table(pa.BufferReader(motions_parquet.to_parquet(motions(2))))
    header = json.loads(table.schema.metadata[b"headstart"])
    columns: dict[str, Any] = {"header": header, **table.to_pydict()}
    change(columns)
    header = columns.pop("header")
    sink = pa.BufferOutputStream()
    written = pa.table(columns).replace_schema_metadata({"headstart": json.dumps(header)})
    pq.write_table(written, sink)
    return bytes(sink.getvalue().to_pybytes())


def put(column: str, value: Any, row: int = 0, at: int | None = None) -> Callable[[dict[str, Any]], None]:
    def change(columns: dict[str, Any]) -> None:
        if at is None:
            columns[column][row] = value
        else:
            columns[column][row][at] = value

    return change


def head(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda columns: columns["header"].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (head(version=2), "is not of format headstart-demonstrated-motions, version 1"),
        (head(rate_hz=0), "rate_hz must be a number from 1 to 1000"),
        (head(rate_hz=True), "rate_hz must be a number"),
        (head(task=""), "task must be 1 to 64 printable characters"),
        (head(objects=[{"name": "../x", "yaw_symmetry": 1}]), "may have letters, digits"),
        (head(objects=[{"name": "block", "yaw_symmetry": 0}]), "must be a whole number from 1 to 360"),
        (head(objects=[{"name": "block", "yaw_symmetry": 1}] * 2), "two objects have the same name"),
        (head(objects=[{"name": "other", "yaw_symmetry": 1}]), "has no column 'object/other/position'"),
        (head(objects=[{"name": f"o{i}", "yaw_symmetry": 1} for i in range(17)]), "a list of at most 16"),
        (put("name", "data/demo_1"), "two motions have the same name"),
        (put("gripper", [1.0]), "has 1 steps; 2 to 20000 are possible"),
        (put("gripper", 1.5, at=3), "must be from -1"),
        (put("gripper", float("nan"), at=3), "must be from -1"),
        (put("commanded_position", [0.0] * 9), "are not of 8[0-9] steps, as its gripper is"),
        (put("commanded_position", 11.0, at=0), "hold positions beyond 10 m, or no rotations"),
        (put("reached_rotation_6d", 0.0, at=0), "hold positions beyond 10 m, or no rotations"),
        (put("object/block/position", float("inf"), at=2), "hold positions beyond 10 m"),
        (put("segment_end", 10, at=1), "must end in order of time"),
        (put("segment_relative_to", 2, at=1), "is relative to an object that is not there"),
        (put("segment_relative_to", 0, at=2), "there must be a free one between them"),
        (put("segment_turns_with", 7, at=1), "turns with nothing"),
        (put("segment_end", []), "must have 1 to 64 segments"),
        (put("held_index", 5, at=0), "is no object, or lies outside"),
        (put("held_first", [0, 1]), "needs an object, a first step and an end each"),
        (put("held_first", 2, at=0), "takes or lets go of something in a free segment"),
        (lambda columns: columns.pop("gripper"), "has no column 'gripper'"),
        (lambda columns: columns.update(gripper=["x", "y"]), "holds no list of numbers"),
        (lambda columns: columns.update(segment_end=[[0.5], [1.5]]), "must be whole numbers"),
    ],
)
def test_what_can_not_be_is_refused(change: Callable[[dict[str, Any]], None], message: str) -> None:
    with pytest.raises(MotionsError, match=message):
        motions_parquet.from_parquet(changed(change))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 1000, b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_what_is_no_parquet_is_refused(content: bytes) -> None:
    with pytest.raises(MotionsError, match="is no Parquet file"):
        motions_parquet.from_parquet(content)


def test_every_truncation_and_many_flipped_bytes_are_refused_or_read() -> None:
    content, rng = motions_parquet.to_parquet(motions(1)), np.random.default_rng(0)
    for length in range(0, len(content), 997):
        with pytest.raises(MotionsError):
            motions_parquet.from_parquet(content[:length])
    for _ in range(200):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] ^= 1 << rng.integers(8)
        try:
            motions_parquet.from_parquet(bytes(damaged))
        except MotionsError:
            continue


def test_a_file_that_unpacks_to_too_much_is_refused() -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"gripper": [np.zeros(20_000_000).tolist()]}), sink, compression="zstd")
    content = sink.getvalue().to_pybytes()
    assert len(content) < 1 << 20
    with pytest.raises(MotionsError, match="more than 128 MiB unpacked"):
        motions_parquet.from_parquet(content)


def test_files_that_are_missing_or_can_not_be_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(MotionsError, match=r"nothing\.parquet can't be read: No such file"):
        read_motions(tmp_path / "nothing.parquet")
    (tmp_path / "text").write_text("x")
    with pytest.raises(MotionsError, match=r"text: is no Parquet file"):
        read_motions(tmp_path / "text")
    with pytest.raises(MotionsError, match="can't be written"):
        write_motions(motions(1), tmp_path / "text" / "motions.parquet")


def test_what_is_held_is_taken_and_left_where_the_hand_goes_with_something() -> None:
    motion: DemonstratedMotion = motions(1).motions[0]
    check_held(replace(motion, held=(Held(0, 20, motion.steps),)))
    free = next(place for place, segment in enumerate(motion.segments) if place and segment.relative_to == FREE)
    with pytest.raises(MotionsError, match="takes or lets go of something in a free segment"):
        check_held(replace(motion, held=(Held(0, 20, motion.segments[free].end - 1),)))
