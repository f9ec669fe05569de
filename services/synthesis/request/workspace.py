"""Where the targets of a request are drawn: joint space, reachable poses, a box, listed poses, or demonstrations."""

import inspect
import math
import operator
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from services.catalogue import Arm, find_arm
from services.synthesis.request.equal_poses import EQUAL_POSITION, leaves_still, pose_arrays, same_as
from services.synthesis.request.goals import Goal
from shared.demonstrated_motions import MAX_OBJECTS, DemonstratedMotions
from shared.errors import SummaryError
from shared.plain_sum import plain_sum
from shared.summary import FORMAT, DemonstrationSummary

Coordinate = Annotated[float, Field(strict=True, ge=-10, le=10)]
Point = tuple[Coordinate, Coordinate, Coordinate]
Entry = Annotated[float, Field(strict=True, ge=-1.001, le=1.001)]
"""Of a unit quaternion or a rotation matrix, up to ROTATION_TOLERANCE."""
ROTATION_TOLERANCE = 1e-3
MAX_POSES = 1000


def _has_length(vector: Point) -> Point:
    if math.hypot(*vector) < 1e-6:
        raise ValueError("it has no direction; give one such as [0, 0, -1]")
    return vector


Direction = Annotated[Point, AfterValidator(_has_length)]
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)
"""An attribute in a docstring, and what is said of it."""


class RequestPart(BaseModel):
    """A JSON object of the request: frozen, and closed to unknown keys, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def described(cls) -> dict[str, str]:
        """What the docstring says of each attribute that this class declares, in one line."""
        said = dict(_ATTRIBUTE.findall(inspect.getdoc(cls) or ""))
        return {name: re.sub(r"\s+", " ", text) for name, text in said.items()}


class Cone(RequestPart):
    """Tool orientations whose z axis lies within an angle of a direction, at any turn about it.

    Attributes:
        axis: the direction, in the base frame; of any length.
        angle_deg: the angle.
    """

    kind: Literal["cone"] = "cone"
    axis: Direction = (0.0, 0.0, -1.0)
    angle_deg: Annotated[float, Field(strict=True, ge=0, le=180)] = 30.0


class Extent(RequestPart):
    """An axis-aligned box of the base frame.

    Attributes:
        min: its least x, y and z [m].
        max: its greatest x, y and z [m].
    """

    min: Point
    max: Point

    @model_validator(mode="after")
    def _has_volume(self) -> Self:
        for axis, low, high in zip("xyz", self.min, self.max, strict=True):
            if not low < high:
                raise ValueError(f"min must be below max on every axis; {axis} has {low:g} and {high:g}")
        return self


class JointSpace(RequestPart):
    """Configurations drawn inside the joint limits; no IK."""

    kind: Literal["joint_space"]


class Reachable(RequestPart):
    """Poses made by FK of configurations inside the limits, solved by IK."""

    kind: Literal["reachable"]


class Box(Extent):
    """Poses in a box, with a cone of orientations.

    Attributes:
        orientation: the cone.
    """

    kind: Literal["box"]
    orientation: Cone = Cone()


class Pose(RequestPart):
    """A tool pose in the base frame: a position [m], and a rotation as one of two forms.

    Attributes:
        position: of the tool centre point [m].
        quat_xyzw: unit quaternion.
        rotation_6d: first two rows of the rotation matrix.
    """

    position: Point
    quat_xyzw: tuple[Entry, Entry, Entry, Entry] | None = None
    rotation_6d: tuple[Entry, Entry, Entry, Entry, Entry, Entry] | None = None

    @field_validator("quat_xyzw")
    @classmethod
    def _is_unit(cls, quat: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if quat is not None and abs(math.hypot(*quat) - 1) > ROTATION_TOLERANCE:
            raise ValueError(f"a unit quaternion has length 1, not {math.hypot(*quat):.4g}")
        return quat

    @field_validator("rotation_6d")
    @classmethod
    def _is_orthonormal(cls, rows: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if rows is not None:
            first, second = rows[:3], rows[3:]
            slope = plain_sum(a * b for a, b in zip(first, second, strict=True))
            off = [math.hypot(*first) - 1, math.hypot(*second) - 1, slope]
            if max(map(abs, off)) > ROTATION_TOLERANCE:
                raise ValueError("the first two rows of a rotation matrix have length 1 and are at right angles")
        return rows

    @model_validator(mode="after")
    def _has_one_rotation(self) -> Self:
        if (self.quat_xyzw is None) == (self.rotation_6d is None):
            raise ValueError("give a pose either quat_xyzw or rotation_6d")
        return self


class Jitter(RequestPart):
    """How far a pose is from the given one.

    Attributes:
        position: it is anywhere in a ball of this radius [m].
        angle_deg: it is turned about any axis by up to this angle.
    """

    position: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.0
    angle_deg: Annotated[float, Field(strict=True, ge=0, le=180)] = 0.0


class Poses(RequestPart):
    """Listed poses, each as likely as the others, never the same twice running, with a jitter.

    Attributes:
        poses: of the tool, in the base frame.
        jitter: how far to be from them.
    """

    kind: Literal["poses"]
    poses: Annotated[tuple[Pose, ...], Field(max_length=MAX_POSES)]
    jitter: Jitter = Jitter()

    @field_validator("poses")
    @classmethod
    def _has_a_pose(cls, poses: tuple[Pose, ...]) -> tuple[Pose, ...]:
        if not poses:
            raise ValueError("list at least one pose")
        return poses

    @model_validator(mode="after")
    def _leaves_room_to_move(self) -> Self:
        if (problem := self.standstill("pose")) is not None:
            raise ValueError(problem)
        return self

    def standstill(self, goal: Goal) -> str | None:
        """Why there is nothing to move between, as far as a goal asks for the poses; None where there is."""
        if not leaves_still(self.jitter.position, math.radians(self.jitter.angle_deg), goal):
            return None
        if same_as(*pose_arrays(self.poses), goal).any():
            return None
        only = "one pose" if len(self.poses) == 1 else f"{len(self.poses)} poses that are one"
        asked = {"pose": "", "position": ", of which goal 'position' asks for the position alone"}.get(
            goal, ", of which goal 'position_axis' asks for the position and the tool's z axis"
        )
        return (
            f"{only}{asked}, without a jitter leave nothing to move between; list another, or give a jitter of at "
            f"least {EQUAL_POSITION:g} m"
        )


class ChainJitter(RequestPart):
    """How far fitted motions are from the demonstrated ones; each is drawn uniformly up to its bound.

    Attributes:
        shift: the whole motion is moved [m], in any direction.
        position: each waypoint is moved [m], in any direction.
        angle_deg: each waypoint is turned, about any axis.
        speed: share by which each motion between waypoints is faster or slower.
        dwell: share by which each dwell is longer or shorter.
    """

    shift: Annotated[float, Field(strict=True, ge=0, le=0.2)] = 0.02
    position: Annotated[float, Field(strict=True, ge=0, le=0.2)] = 0.005
    angle_deg: Annotated[float, Field(strict=True, ge=0, le=90)] = 3.0
    speed: Annotated[float, Field(strict=True, ge=0, le=0.9)] = 0.1
    dwell: Annotated[float, Field(strict=True, ge=0, le=0.9)] = 0.2


def _summary(value: Any) -> DemonstrationSummary:
    try:
        return value if isinstance(value, DemonstrationSummary) else DemonstrationSummary.from_json(value)
    except SummaryError as error:
        raise ValueError(f"{error.pointer}: {error.detail}" if error.pointer else error.detail) from None


class Fitted(RequestPart):
    """Chains of waypoints drawn from demonstrations, with their speeds, dwells and gripper, and jittered.

    Attributes:
        summary: of the demonstrations. It is identified by its content.
        jitter: how far to be from them.
    """

    kind: Literal["fitted"]
    summary: Annotated[
        DemonstrationSummary,
        PlainValidator(_summary),
        PlainSerializer(DemonstrationSummary.to_json),
        WithJsonSchema(
            {
                "type": "object",
                "description": "what `python -m trainer summarize` wrote",
                "properties": {
                    "format": {"const": FORMAT, "description": "what it is", "examples": [FORMAT]},
                    "version": {"const": 1, "description": "of the format", "examples": [1], "x-unit": "1"},
                },
                "required": ["format", "version"],
            }
        ),
    ]
    jitter: ChainJitter = ChainJitter()


def _motions(value: Any, info: ValidationInfo) -> DemonstratedMotions:
    if isinstance(value, DemonstratedMotions):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("it is the sha256 of a motions file, 64 hexadecimal digits")
    known = info.context.motions(value) if isinstance(info.context, Known) else None
    if known is None:
        raise ValueError(
            "there is no motions file of this sha256; upload it with POST /v1/motions, or pass --motions FILE"
        )
    return known


class Known(NamedTuple):
    """Where a request's names are looked up.

    Attributes:
        robot: gives the arm of a name, or raises RobotError.
        motions: gives the motions of a sha256, or None where there are none.
    """

    robot: Callable[[str], Arm] = find_arm
    motions: Callable[[str], DemonstratedMotions | None] = lambda sha256: None


Planar = tuple[Coordinate, Coordinate]
Degrees = Annotated[float, Field(strict=True, ge=-360, le=360)]
Length = Annotated[float, Field(strict=True, ge=0.001, le=2)]


class ObjectSpan(RequestPart):
    """Where one object may lie, and how large it is; what is left out is as far as the demonstrations had it.

    Attributes:
        min: least x and y in the base frame [m].
        max: greatest.
        yaw_deg: least and greatest yaw about the base's z axis.
        height: least and greatest height of its origin in the base frame [m]; by default the demonstration's own.
        size: of a box around it, along its own axes and with its origin in the middle [m]. While the hand holds it, it
            is kept out of what the arm is kept out of; what has no size is not checked.
    """

    min: Planar | None = None
    max: Planar | None = None
    yaw_deg: tuple[Degrees, Degrees] | None = None
    height: tuple[Coordinate, Coordinate] | None = None
    size: tuple[Length, Length, Length] | None = None

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if (self.min is None) != (self.max is None):
            raise ValueError("min and max only mean something together: give both, or neither")
        if self.min is not None and self.max is not None and not all(map(operator.le, self.min, self.max)):
            raise ValueError("min must not be above max")
        for span in (self.yaw_deg, self.height):
            if span is not None and span[0] > span[1]:
                raise ValueError(f"a range is [lowest, highest]; got [{span[0]:g}, {span[1]:g}]")
        return self


class Objects(RequestPart):
    """Demonstrations carried to other poses of their objects.

    Attributes:
        motions: of the demonstrations. A request names them by their sha256.
        objects: where some of the objects may lie.
        widen: how much farther than the demonstrations' the others may lie, on every side [m].
        least_distance: between two objects at the start, in the plane [m]; by default the demonstrations' least.
        start_jitter: how far the tool starts from where it did.
        source: which demonstration is copied: `any`, each as often as the others, or the one whose objects lay
            `nearest`.
    """

    kind: Literal["objects"]
    motions: Annotated[
        DemonstratedMotions,
        PlainValidator(_motions),
        PlainSerializer(lambda motions: motions.content_sha256),
        WithJsonSchema(
            {
                "type": "string",
                "pattern": "^[0-9a-f]{64}$",
                "description": "sha256 of a motions file, which `python -m trainer motions` wrote",
            }
        ),
    ]
    objects: Annotated[dict[str, ObjectSpan], Field(max_length=MAX_OBJECTS)] = Field(default_factory=dict)
    widen: Annotated[float, Field(strict=True, ge=0, le=2)] = 0.0
    least_distance: Annotated[float, Field(strict=True, ge=0, le=2)] | None = None
    start_jitter: Jitter = Jitter()
    source: Literal["any", "nearest"] = "any"

    @field_validator("objects")
    @classmethod
    def _objects_are_there(cls, objects: dict[str, ObjectSpan], info: ValidationInfo) -> dict[str, ObjectSpan]:
        motions = info.data.get("motions")
        if motions is not None:
            names = [thing.name for thing in motions.objects]
            for name in objects:
                if name not in names:
                    raise ValueError(f"the motions have no object {name!r:.80}; they have {', '.join(names) or 'none'}")
        return objects


DrawnWorkspace = JointSpace | Reachable | Box | Poses
"""Those whose waypoints are drawn one by one."""
Workspace = Annotated[DrawnWorkspace | Fitted | Objects, Field(discriminator="kind")]
