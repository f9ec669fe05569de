"""Segments as a TOML file, which a person can read and edit.

    [objects.cube_a]
    yaw_symmetry = 4

    ["data/demo_0"]
    segments = [
        {end = 20},
        {end = 45, object = "cube_a"},
        {end = 84},
        {end = 104, object = "cube_b", turns_with = "hand"},
    ]
    held = [{object = "cube_a", first = 30, end = 95}]

A segment without an object is free; one whose object is "fixed" is relative to the robot's base.
"""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.demonstrated_motions import FIXED, FREE, Held, MovedObject, Segment, TurnsWith
from shared.errors import ConfigError
from trainer.data.demonstrations.episode import Demonstrations
from trainer.data.motions.segment_proposal import Proposal

_MOST_BYTES = 16_000_000


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Segment(_Part):
    end: int = Field(ge=1)
    object: str | None = None
    turns_with: TurnsWith = "object"


class _Held(_Part):
    object: str
    first: int = Field(ge=0)
    end: int = Field(ge=1)


class _Object(_Part):
    yaw_symmetry: int = Field(ge=1, le=360)


class _Motion(_Part):
    segments: tuple[_Segment, ...] = Field(min_length=1)
    held: tuple[_Held, ...] = ()


class _File(_Part):
    objects: dict[str, _Object]
    motions: dict[str, _Motion]


def write_segments(objects: Sequence[MovedObject], proposals: Sequence[Proposal], path: Path) -> None:
    """Writes proposals. Raises OSError."""
    lines = []
    for thing in objects:
        lines += [f"[objects.{_quoted(thing.name)}]", f"yaw_symmetry = {thing.yaw_symmetry}", ""]
    for proposal in proposals:
        lines += [f"[{_quoted(proposal.name)}]", "segments = ["]
        for segment in proposal.segments:
            entry = f"end = {segment.end}"
            if segment.relative_to != FREE:
                name = "fixed" if segment.relative_to == FIXED else objects[segment.relative_to].name
                entry += f", object = {_quoted(name)}"
                entry += ', turns_with = "hand"' if segment.turns_with == "hand" else ""
            lines.append(f"    {{{entry}}},")
        held = (
            f"{{object = {_quoted(objects[one.index].name)}, first = {one.first}, end = {one.end}}}"
            for one in proposal.held
        )
        lines += ["]", f"held = [{', '.join(held)}]", ""]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))


def read_segments(
    path: Path, objects: Sequence[MovedObject], demonstrations: Demonstrations, proposals: Sequence[Proposal]
) -> tuple[tuple[MovedObject, ...], list[Proposal]]:
    """Objects and segments as a person has them in a file.

    Args:
        path: of the file.
        objects: that the demonstrations have.
        demonstrations: what the segments are of; one that the file leaves out is left out.
        proposals: where the poses of the objects come from.

    Raises:
        ConfigError: the file can't be read, or says what can't be; names the key.
    """
    content = _read(path)
    names = [thing.name for thing in objects]
    for name in content.objects:
        if name not in names:
            raise ConfigError(f"{path}: objects.{name}: the demonstrations have no such object, but {', '.join(names)}")
    symmetry = {name: thing.yaw_symmetry for name, thing in content.objects.items()}
    known = tuple(MovedObject(thing.name, symmetry.get(thing.name, thing.yaw_symmetry)) for thing in objects)
    steps = {episode.name: len(episode.actions) for episode in demonstrations.episodes}
    by_name, found = {proposal.name: proposal for proposal in proposals}, []
    for name, motion in content.motions.items():
        if name not in by_name:
            raise ConfigError(f"{path}: {name}: there is no such demonstration, such as {next(iter(by_name))}")
        ends = [segment.end for segment in motion.segments]
        if sorted(set(ends)) != ends or ends[-1] != steps[name]:
            raise ConfigError(f"{path}: {name}.segments: they must end in order of time, the last at {steps[name]}")

        def index(thing: str | None, where: str) -> int:
            if thing is None:
                return FREE
            if thing == "fixed":
                return FIXED
            if thing not in names:
                raise ConfigError(f"{path}: {where}: there is no object '{thing}', but {', '.join(names)}, or 'fixed'")
            return names.index(thing)

        segments = tuple(
            Segment(one.end, index(one.object, f"{name}.segments"), one.turns_with) for one in motion.segments
        )
        held = tuple(Held(index(one.object, f"{name}.held"), one.first, one.end) for one in motion.held)
        if any(one.index < 0 or not one.first < one.end <= steps[name] for one in held):
            raise ConfigError(f"{path}: {name}.held: give an object, and steps from 0 to {steps[name]}")
        found.append(Proposal(name, segments, held, by_name[name].objects))
    return known, found


def _read(path: Path) -> _File:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError(f"{path}: is larger than {_MOST_BYTES >> 20} MiB; it is no segments file")
        content: Any = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({error.strerror})") from error
    except ValueError as error:
        raise ConfigError(f"{path}: is not TOML ({error})") from error
    try:
        objects = content.pop("objects", {})
        return _File.model_validate({"objects": objects, "motions": content})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "motions")
        raise ConfigError(f"{path}: {where}: {first['msg'].lower()}") from error


def _quoted(text: str) -> str:
    """A TOML string or key."""
    return json.dumps(text)
