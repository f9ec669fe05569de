"""Which components of a data set's columns are positions, rotations, joints and the gripper.

By the names of columns and components where they say it, else by what numbers can be: a quaternion has norm 1, two
rows of a rotation are orthonormal. What the numbers mean beyond that, names do not decide.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigError
from trainer.data.demonstrations.mapping.motion import RawEpisode
from trainer.data.demonstrations.source import Contents

FloatArray = NDArray[np.float64]
Kind = Literal["joint_position", "position", "rotation", "gripper"]

_KINDS: tuple[tuple[Kind, str], ...] = (
    ("gripper", r"grip|grasp|finger|width|opening|jaw"),
    ("joint_position", r"joint|shoulder|elbow|wrist|forearm|waist|^j\d|^q\d|motor|\.pos$"),
    ("rotation", r"quat|rot|ori|roll|pitch|yaw|^q[xyzw]$|^r[xyz]$|euler|axis_?angle"),
    ("position", r"^[xyz]$|pos|xyz|translation"),
)
_NOT_THE_ARM = re.compile(r"object|image|vel|force|torque|effort|_sin$|_cos$|acc|time|goal|target", re.IGNORECASE)
_NORM = 0.02
_ROTATION_WIDTHS = (3, 4, 6, 9)


@dataclass(frozen=True)
class Part:
    """Components of one table of the mapping, as it names them; None where there are none.

    Attributes:
        position: three.
        rotation: as many as an encoding has.
        joint_position: one a joint.
        gripper: one.
    """

    position: str | None = None
    rotation: str | None = None
    joint_position: str | None = None
    gripper: str | None = None

    @property
    def kinds(self) -> set[str]:
        """The arm's kinds of numbers that it has: pose, joints."""
        pose = {"pose"} if self.position and self.rotation else set()
        return pose | ({"joints"} if self.joint_position else set())


@dataclass(frozen=True)
class Layout:
    """What of a data set is commanded and what is observed."""

    action: Part
    state: Part


def find_layouts(contents: Contents, raws: Sequence[RawEpisode], dof: int | None) -> list[Layout]:
    """Commanded and observed components: each way in which the columns can be cut.

    Args:
        contents: what the data set says of itself.
        raws: some of its episodes.
        dof: joints of the arm, where it is known.

    Raises:
        ConfigError: nothing can be what is commanded.
    """
    values = {
        name: np.concatenate([raw.columns[name] for raw in raws])
        for name in contents.columns
        if all(name in raw.columns for raw in raws)
    }
    state = _state(contents, values, dof)
    actions = [name for name in values if re.match(r"action", name.rpartition("/")[2])]
    found = [
        (name, part) for name in actions for part in _parts(name, values[name], contents.components.get(name, ()), dof)
    ]
    agreeing = [(name, part) for name, part in found if part.kinds & state.kinds] or found
    absolute = [(name, part) for name, part in agreeing if "abs" in name]
    if not agreeing:
        have = ", ".join(f"{name} [{contents.columns[name]}]" for name in actions) or "no column called action"
        raise ConfigError(
            f"can't tell what is commanded ({have}); say which robot it is with --robot or --urdf, or write the "
            "mapping by hand"
        )
    return [Layout(part, state) for _, part in absolute or agreeing]


def _state(contents: Contents, values: dict[str, FloatArray], dof: int | None) -> Part:
    """What is observed of the arm: what whole columns are by their names, then what wider columns hold."""
    part = Part()
    observed = [name for name in values if re.match(r"obs", name) and not _NOT_THE_ARM.search(name)]
    for name in observed:
        width, kind = values[name].shape[1], _kind(name.rpartition("/")[2].rpartition(".")[2])
        right = {
            "gripper": width <= 2,
            "rotation": width in _ROTATION_WIDTHS,
            "joint_position": width == dof or (dof is None and width > 3),
            "position": width == 3,
        }
        if kind is not None and right[kind] and getattr(part, kind) is None:
            part = replace(part, **{kind: f"{name}[0]" if kind == "gripper" and width > 1 else name})
    for name in observed:
        if values[name].shape[1] < 5 or name in (part.joint_position, part.rotation):
            continue
        for found in _parts(name, values[name], contents.components.get(name, ()), dof)[:1]:
            part = replace(
                part, **{key: value for key, value in vars(found).items() if value and getattr(part, key) is None}
            )
    return part


def _parts(name: str, values: FloatArray, components: Sequence[str], dof: int | None) -> list[Part]:
    """The ways in which a column of several quantities can be cut: one by its components' names, else by its width."""
    kinds = [_kind(component) for component in components]
    if len(kinds) == values.shape[1] and None not in kinds:
        runs = [(kind, len(list(run))) for kind, run in itertools.groupby(kinds)]
        if len({kind for kind, _ in runs}) == len(runs):
            return [_part(name, runs)]  # type: ignore[arg-type]
    return [_part(name, layout) for layout in _layouts(values.shape[1], dof) if _is_possible(values, layout)]


def _layouts(width: int, dof: int | None) -> Iterator[list[tuple[Kind, int]]]:
    joints: list[tuple[Kind, int]] = [("joint_position", dof)] if dof else []
    hand: list[tuple[Kind, int]] = [("gripper", 1)]
    for size in (9, 6, 4, 3):
        pose: list[tuple[Kind, int]] = [("position", 3), ("rotation", size)]
        orders = [pose, pose + hand]
        if joints:
            orders += [pose + joints, pose + joints + hand, pose + hand + joints]
            orders += [joints + pose, joints + pose + hand, joints + hand + pose]
        yield from (order for order in orders if sum(size for _, size in order) == width)
    yield from (order for order in (joints, joints + hand) if joints and sum(size for _, size in order) == width)


def _is_possible(values: FloatArray, layout: Sequence[tuple[Kind, int]]) -> bool:
    first = 0
    for kind, width in layout:
        if kind == "rotation" and width > 3 and not _is_rotation(values[:, first : first + width]):
            return False
        if kind == "joint_position" and width == 4 and _is_rotation(values[:, first : first + width]):
            return False
        first += width
    # Three angles have no sign of their own; what holds a quaternion or rows of a rotation there is something else.
    wide = [(at, size) for at in range(values.shape[1]) for size in (4, 6, 9) if at + size <= values.shape[1]]
    mine = {(sum(w for _, w in layout[:i]), w) for i, (k, w) in enumerate(layout) if k == "rotation"}
    return bool(mine & {(at, size) for at, size in wide}) or not any(
        _is_rotation(values[:, at : at + size]) for at, size in wide
    )


def _is_rotation(values: FloatArray) -> bool:
    """Whether (n, 4), (n, 6) or (n, 9) numbers are unit quaternions, or rows of a rotation, at every step."""
    if values.shape[1] == 4:
        return bool((np.abs(np.linalg.norm(values, axis=1) - 1) < _NORM).all())
    rows = values.reshape(len(values), -1, 3)
    products = rows @ np.swapaxes(rows, 1, 2)
    return bool((np.abs(products - np.eye(rows.shape[1])) < 2 * _NORM).all())


def _part(name: str, layout: Sequence[tuple[Kind, int]]) -> Part:
    found: dict[Kind, str] = {}
    first = 0
    for kind, width in layout:
        found[kind] = f"{name}[{first}]" if kind == "gripper" else f"{name}[{first}:{first + width}]"
        first += width
    return Part(**found)


def _kind(name: str) -> Kind | None:
    return next((kind for kind, pattern in _KINDS if re.search(pattern, name, re.IGNORECASE)), None)
