"""Why demonstrations are not plausible: which one change of their mapping would make them so."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.rotation import geodesic_angle, matrix_to_quat_xyzw
from trainer.data.demonstrations.checks.implausible import Implausible
from trainer.data.demonstrations.checks.track import Track
from trainer.data.demonstrations.mapping.mapping import Assumption, Mapping
from trainer.poses import Pose, compose, invert

FloatArray = NDArray[np.float64]

_NAMES: dict[Assumption, str] = {
    "frame": "wrong frame",
    "range": "outside the action range",
    "quaternion_order": "wrong quaternion order",
    "degrees": "degrees taken as radians",
    "normalized": "normalized joints taken as angles, it seems",
    "delta": "a delta taken as absolute",
    "gripper": "swapped gripper",
    "continuity": "not continuous",
    "observed": "not what was observed",
}
_REMEDIES: dict[Assumption, str] = {
    "frame": "poses must be of the tool centre point in the robot's base frame, in metres: say with frame where the "
    "base is, or, if the frame is right, pretrain with a wider --action-range",
    "range": "pretrain with a wider --action-range, or leave these demonstrations out",
    "quaternion_order": "look at the rotation's encoding",
    "degrees": 'set unit to "deg"',
    "delta": 'these are motions, not poses: set action.mode to "delta"',
    "gripper": "exchange open and closed of action.gripper, or name what is observed of it in state.gripper, which "
    "decides",
    "continuity": "look at rate_hz, at the rotation's encoding, and whether this is one episode",
    "observed": "one of action and state is not what the mapping says",
}
_REMEDY_OF_SOME = (
    "the others agree with the mapping, so that these were recorded in another way: correct them, or leave them out"
)
# Of a constant transform between commands and observations: how far half of the steps may be from it.
_CONSTANT_POSITION = 0.05
_CONSTANT_ANGLE = np.deg2rad(10)


@dataclass(frozen=True)
class _Alternative:
    """Another reading of the same columns."""

    name: str
    change: str
    mapping: Mapping


def diagnose(
    problem: Implausible,
    mapping: Mapping,
    read: Callable[[Mapping], Sequence[Track]],
    check: Callable[[Mapping], object],
) -> str:
    """What is wrong with the mapping, in words.

    Args:
        problem: what was found.
        mapping: that the demonstrations were read by.
        read: reads them by a mapping.
        check: raises ValueError where what it reads by a mapping is not plausible.
    """
    # Training refuses what lies outside the range, whatever is accepted here.
    accept = "" if problem.assumption == "range" else f'; if it is right as it is, add "{problem.assumption}" to accept'
    if problem.remedy is not None:
        return f"{_NAMES[problem.assumption]}: {problem}; {problem.remedy}{accept}"
    for other in _alternatives(mapping) if problem.certain else ():
        try:
            check(other.mapping)
        except ValueError:
            continue
        return f"{other.name}: {problem}; all would agree with {other.change}{accept}"
    if problem.some:
        return f"{_NAMES[problem.assumption]}: {problem}; {_REMEDY_OF_SOME}{accept}"
    if problem.assumption == "observed" and (offset := _constant_offset(read(mapping))) is not None:
        return f"{_NAMES['frame']}: {problem}; all would agree with {offset}{accept}"
    doubt = "" if problem.certain else ", it seems"
    return f"{_NAMES[problem.assumption]}{doubt}: {problem}; {_REMEDIES[problem.assumption]}{accept}"


def other_quaternion_order(mapping: Mapping) -> tuple[str, Mapping] | None:
    """The mapping with every quaternion read in the other order, and that in words; None where it has none."""
    changed, changes = mapping, []
    for table in ("action", "state"):
        rotation = getattr(getattr(mapping, table), "rotation")  # noqa: B009
        if rotation is not None and rotation.encoding.startswith("quat"):
            encoding = _swapped_order(rotation.encoding)
            changed = _with(changed, table, "rotation", encoding=encoding)
            changes.append(f'{table}.rotation.encoding = "{encoding}"')
    return (" and ".join(changes), changed) if changes else None


def _alternatives(mapping: Mapping) -> Iterator[_Alternative]:
    for table in ("action", "state"):
        yield from _other_encodings(mapping, table)
    yield from _other_mode(mapping)


def _other_encodings(mapping: Mapping, table: str) -> Iterator[_Alternative]:
    part = getattr(mapping, table)
    rotation, joints, position, gripper = part.rotation, part.joint_position, part.position, part.gripper
    if rotation is not None and rotation.encoding.startswith("quat"):
        encoding = _swapped_order(rotation.encoding)
        changed = _with(mapping, table, "rotation", encoding=encoding)
        yield _Alternative(_NAMES["quaternion_order"], f'{table}.rotation.encoding = "{encoding}"', changed)
    for key, angles in (("rotation", rotation), ("joint_position", joints)):
        in_angles = angles is not None and getattr(angles, "encoding", "euler") in ("euler", "rotation_vector")
        if in_angles and angles.unit in ("rad", "deg"):
            unit = "deg" if angles.unit == "rad" else "rad"
            name = _NAMES["degrees"] if unit == "deg" else "radians taken as degrees"
            yield _Alternative(name, f'{table}.{key}.unit = "{unit}"', _with(mapping, table, key, unit=unit))
    if rotation is not None and rotation.axes is not None:
        for axes in (rotation.axes.swapcase(), rotation.axes[::-1], rotation.axes[::-1].swapcase()):
            changed = _with(mapping, table, "rotation", axes=axes)
            yield _Alternative("wrong Euler convention", f'{table}.rotation.axes = "{axes}"', changed)
    if position is not None:
        changed = _with(mapping, table, "position", scale=position.scale / 1000)
        yield _Alternative(
            "millimetres taken as metres", f"{table}.position.scale = {position.scale / 1000:g}", changed
        )
    if gripper is not None and gripper != "none":
        changed = _with(mapping, table, "gripper", open=gripper.closed, closed=gripper.open)
        change = f"{table}.gripper.open = {gripper.closed:g} and closed = {gripper.open:g}"
        yield _Alternative(_NAMES["gripper"], change, changed)


def _other_mode(mapping: Mapping) -> Iterator[_Alternative]:
    action = mapping.action
    if action.label == "reached":
        return
    if action.mode == "delta":
        absolute = {"mode": "absolute", "delta_from": None, "delta_axes": None, "frame": mapping.state.frame}
        changed = mapping.model_copy(update={"action": action.model_copy(update=absolute)})
        yield _Alternative("an absolute action taken as a delta", 'action.mode = "absolute"', changed)
        return
    pose = action.space == "ee_pose"
    if (mapping.state.position if pose else mapping.state.joint_position) is None:
        return
    for axes in ("base", "tool") if pose else (None,):
        delta: dict[str, Any] = {"mode": "delta", "delta_from": "state", "delta_axes": axes}
        changed = mapping.model_copy(update={"action": action.model_copy(update=delta)})
        text = ", ".join(f'{key} = "{value}"' for key, value in delta.items() if value is not None)
        yield _Alternative(_NAMES["delta"], f"action.{text}", changed)


def _constant_offset(tracks: Sequence[Track]) -> str | None:
    """The frame in which commanded and observed poses agree, as a mapping says it; None where there is none."""
    poses = [(track.commanded.pose, track.observed.pose) for track in tracks]
    known = [(a, b) for a, b in poses if a is not None and b is not None]
    if not known:
        return None
    commanded, observed = (_joined([pair[i] for pair in known]) for i in (0, 1))
    for key, (position, rotation) in (
        ("action.frame.base", compose(commanded, invert(observed))),
        ("state.frame.tool", compose(invert(observed), commanded)),
    ):
        middle = len(rotation) // 2
        center = np.median(position, axis=0)
        apart = np.median(np.linalg.norm(position - center, axis=1))
        turned = np.median(geodesic_angle(rotation, rotation[middle : middle + 1]))
        if apart < _CONSTANT_POSITION and turned < _CONSTANT_ANGLE:
            shift, turn = np.round(center, 3).tolist(), np.round(matrix_to_quat_xyzw(rotation[middle]), 3).tolist()
            return f"{key} = {{position = {shift}, quat_xyzw = {turn}}}"
    return None


def _joined(poses: Sequence[Pose]) -> Pose:
    return np.concatenate([pose[0] for pose in poses]), np.concatenate([pose[1] for pose in poses])


def _swapped_order(encoding: str) -> str:
    return "quat_wxyz" if encoding == "quat_xyzw" else "quat_xyzw"


def _with(mapping: Mapping, table: str, key: str, **values: Any) -> Mapping:
    """The mapping with other values at table.key."""
    part = getattr(mapping, table)
    entry = getattr(part, key).model_copy(update=values)
    return mapping.model_copy(update={table: part.model_copy(update={key: entry})})
