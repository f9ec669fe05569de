"""The mapping file: which columns of a data set are the observation, and what its actions mean.

docs/your-data.md shows it from the user's side. Unknown keys are refused.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.demonstrated_motions import MAX_OBJECTS
from trainer.config import ActionName
from trainer.data.demonstrations.episode import ActionLabel

_COLUMNS = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<first>\d{1,6})(:(?P<end>\d{1,6}))?\])?")


def _is_columns(text: str) -> str:
    match = _COLUMNS.fullmatch(text)
    if match is None or (match["end"] is not None and int(match["end"]) <= int(match["first"])):
        raise ValueError(f'\'{text}\' names no column; write "name", "name[6]" or "name[0:3]"')
    return text


Columns = Annotated[str, AfterValidator(_is_columns)]
"""A column of the data set, `name`, or some of its components: `name[6]`, `name[0:3]` (the end excluded)."""

Vector3 = tuple[float, float, float]
Vector4 = tuple[float, float, float, float]
RotationEncoding = Literal["quat_xyzw", "quat_wxyz", "rotation_vector", "euler", "rot6d", "rot6d_columns", "matrix"]
Assumption = Literal[
    "frame",
    "range",
    "quaternion_order",
    "degrees",
    "normalized",
    "delta",
    "gripper",
    "continuity",
    "observed",
    "timestamps",
]


class _Part(BaseModel):
    """Frozen, and closed to unknown keys, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Position(_Part):
    """Three components; `scale` is metres for a unit of the file (0.001 where it holds millimetres)."""

    columns: Columns
    scale: float = 1.0


class Rotation(_Part):
    """A rotation, or where the action is a delta, a turn.

    Attributes:
        columns: as many as the encoding has numbers.
        encoding: `rot6d` is the first two rows of the matrix, `rot6d_columns` its first two columns, one after the
            other; `matrix` its nine numbers row by row.
        axes: of `euler`, as SciPy writes them: "xyz" about fixed axes (extrinsic), "XYZ" about moving ones (intrinsic).
        unit: of `euler` and `rotation_vector`.
        scale: of a delta's numbers, radians for a unit.
    """

    columns: Columns
    encoding: RotationEncoding
    axes: str | None = None
    unit: Literal["rad", "deg"] = "rad"
    scale: float = 1.0

    @model_validator(mode="after")
    def _euler_has_axes(self) -> Self:
        if (self.encoding == "euler") != (self.axes is not None):
            raise ValueError(
                'encoding \'euler\' needs axes, such as "xyz" (about fixed axes) or "ZYX" (about moving ones); the '
                "other encodings have none"
            )
        if self.axes is not None and not re.fullmatch(r"([xyz]{3}|[XYZ]{3})", self.axes):
            raise ValueError(f"axes is '{self.axes}'; it needs three of xyz, or of XYZ")
        if self.axes is not None and self.axes[1] in (self.axes[0], self.axes[2]):
            raise ValueError(f"axes '{self.axes}' turns about one axis twice in a row")
        if self.unit == "deg" and self.encoding not in ("euler", "rotation_vector"):
            raise ValueError(f"encoding '{self.encoding}' has no unit")
        return self


class Joints(_Part):
    """Joint positions, in the order of the robot's joints: sign * value [rad or m] + offset.

    Attributes:
        columns: one for each joint, without the gripper.
        unit: `normalized` is linear from `low` at normalized_range[0] to `high` at normalized_range[1].
        low: of a normalized joint [rad].
        high: of a normalized joint [rad].
        normalized_range: numbers of the file that mean `low` and `high`.
        sign: +1 or -1 for each joint, where the file turns them the other way.
        offset: [rad] for each joint, where the file's zero is elsewhere.
        scale: of a delta's numbers, radians for a unit.
    """

    columns: Columns
    unit: Literal["rad", "deg", "normalized"] = "rad"
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None
    normalized_range: tuple[float, float] = (-100.0, 100.0)
    sign: tuple[Literal[-1, 1], ...] | None = None
    offset: tuple[float, ...] | None = None
    scale: float = 1.0

    @model_validator(mode="after")
    def _normalized_has_range(self) -> Self:
        if (self.unit == "normalized") != (self.low is not None) or (self.low is None) != (self.high is None):
            raise ValueError("unit 'normalized' needs low and high, the joints' range [rad]; other units have none")
        if self.low is not None and self.high is not None and len(self.low) != len(self.high):
            raise ValueError("low and high need as many numbers as there are joints")
        if self.normalized_range[0] >= self.normalized_range[1]:
            raise ValueError("normalized_range needs a lower number and then a higher one")
        return self


class Gripper(_Part):
    """One component, linear between two of its values."""

    columns: Columns
    open: float
    closed: float

    @model_validator(mode="after")
    def _ends_differ(self) -> Self:
        if self.open == self.closed:
            raise ValueError(f"open and closed are both {self.open:g}")
        return self


class FixedPose(_Part):
    """The pose of one frame in another."""

    position: Vector3 = (0.0, 0.0, 0.0)
    quat_xyzw: Vector4 = (0.0, 0.0, 0.0, 1.0)

    @model_validator(mode="after")
    def _quaternion_is_unit(self) -> Self:
        if abs(sum(value**2 for value in self.quat_xyzw) - 1) > 1e-2:
            raise ValueError(f"quat_xyzw {self.quat_xyzw} is no unit quaternion")
        return self


class Frame(_Part):
    """Which poses a file holds.

    Attributes:
        base: pose of the robot's base in the frame that the poses are in.
        tool: pose of the tool centre point in the frame whose poses they are.
    """

    base: FixedPose = FixedPose()
    tool: FixedPose = FixedPose()


class State(_Part):
    """What was observed of the arm at each step: `reached` and deltas start from it, and actions are checked by it."""

    position: Position | None = None
    rotation: Rotation | None = None
    joint_position: Joints | None = None
    gripper: Gripper | None = None
    frame: Frame | Literal["base", "robosuite"] = "base"

    @model_validator(mode="after")
    def _pose_is_whole(self) -> Self:
        if (self.position is None) != (self.rotation is None):
            raise ValueError("a pose needs both position and rotation")
        return self


class Action(_Part):
    """What the policy predicts at each step.

    Attributes:
        space: `ee_pose` or `joint_position`.
        label: `command`, or `reached`: the state `latency` steps later, with the gripper's command.
        latency: L of `reached`.
        mode: `delta` where the columns are a motion from `delta_from`.
        delta_from: the observed `state`, or the `command` before.
        delta_axes: that a delta's position and turn are given in: of the `base`, or of the `tool`.
        gripper: "none" where there is none; it then stays open.
        frame: of an absolute command.
    """

    space: ActionName
    gripper: Gripper | Literal["none"]
    label: ActionLabel = "command"
    latency: Annotated[int, Field(ge=1, le=100)] | None = None
    mode: Literal["absolute", "delta"] = "absolute"
    delta_from: Literal["state", "command"] | None = None
    delta_axes: Literal["base", "tool"] | None = None
    position: Position | None = None
    rotation: Rotation | None = None
    joint_position: Joints | None = None
    frame: Frame | Literal["base", "robosuite"] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Every key that is needed, and none that would do nothing."""
        ee_pose, command = self.space == "ee_pose", self.label == "command"
        delta = command and self.mode == "delta"
        wanted = {
            "position": command and ee_pose,
            "rotation": command and ee_pose,
            "joint_position": command and not ee_pose,
            "latency": not command,
            "delta_from": delta,
            "delta_axes": delta and ee_pose,
        }
        how = f"space '{self.space}', label '{self.label}' and mode '{self.mode}'"
        for name, needed in wanted.items():
            if needed and getattr(self, name) is None:
                raise ValueError(f"{name} is missing; {how} need it")
            if not needed and getattr(self, name) is not None:
                raise ValueError(f"{name} means nothing with {how}; remove it")
        if self.frame is not None and (delta or not command or not ee_pose):
            raise ValueError(f"frame means nothing with {how}; the frame of what is observed is state.frame")
        if self.mode == "delta" and not command:
            raise ValueError("mode 'delta' is of commands; label 'reached' takes its poses from the state")
        return self


class Observation(_Part):
    """What the policy sees.

    Attributes:
        low_dim: columns, in the order in which they are joined.
        cameras: columns that hold pictures or videos.
        image_size: height and width that every picture is resized to; as it is stored where this is left out.
    """

    low_dim: tuple[Columns, ...] | None = None
    cameras: tuple[str, ...] | None = None
    image_size: tuple[Annotated[int, Field(ge=8, le=4096)], Annotated[int, Field(ge=8, le=4096)]] | None = None


class ObjectPose(_Part):
    """The recorded pose of a thing that the task is about.

    Attributes:
        position: of its origin.
        rotation: of it.
        yaw_symmetry: turning it about its own z axis by 360 degrees / yaw_symmetry makes no difference.
        frame: the poses' own; `robosuite` is its world.
    """

    position: Position
    rotation: Rotation
    yaw_symmetry: Annotated[int, Field(ge=1, le=360)] = 1
    frame: Frame | Literal["base", "robosuite"] = "base"


ObjectName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class Mapping(_Part):
    """A mapping file.

    Attributes:
        action: what the policy predicts.
        observation: what it sees.
        state: what was observed of the arm.
        objects: poses of what the task is about, by name, where they were recorded; for `python -m trainer motions`.
        task: name of the task; the data set's own where this is left out.
        only_task: of a data set of several tasks, the one whose episodes are used; "*" is all.
        robot: name of the robot, as in the catalogue; the data set's own where this is left out.
        rate_hz: control rate, whatever the data set's timestamps say; the data set's own where this is left out.
        filter_key: of robomimic: the mask whose demos are used.
        validation_filter_key: of robomimic: the mask whose demos are held out.
        accept: assumptions that are not to be checked.
    """

    action: Action
    observation: Observation = Observation()
    state: State = State()
    objects: Annotated[dict[ObjectName, ObjectPose], Field(max_length=MAX_OBJECTS)] = Field(default_factory=dict)
    task: str | None = None
    only_task: str | None = None
    robot: str | None = None
    rate_hz: Annotated[float, Field(gt=0, le=10_000)] | None = None
    filter_key: str | None = None
    validation_filter_key: str | None = None
    accept: tuple[Assumption, ...] = ()

    @model_validator(mode="after")
    def _state_has_what_the_action_needs(self) -> Self:
        relative = self.action.label == "reached" or self.action.delta_from is not None
        name = "position" if self.action.space == "ee_pose" else "joint_position"
        if relative and getattr(self.state, name) is None:
            raise ValueError(f"state.{name} is missing: label 'reached' and mode 'delta' start from what was observed")
        return self


def split_columns(columns: str) -> tuple[str, slice]:
    """Name and components of `name`, `name[6]` or `name[0:3]`."""
    match = _COLUMNS.fullmatch(columns)
    assert match is not None, columns
    name, first, end = match["name"], match["first"], match["end"]
    if first is None:
        return name, slice(None)
    return name, slice(int(first), int(end) if end else int(first) + 1)
