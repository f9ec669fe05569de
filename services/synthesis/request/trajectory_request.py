"""The trajectory request: what a user asks for, checked before anything is made."""

import functools
import hashlib
import json
import math
from collections.abc import Callable
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, PrivateAttr, ValidationError, ValidationInfo, field_validator, model_validator

from services.catalogue import Arm, find_arm
from services.synthesis import GENERATOR_VERSION
from services.synthesis.request.demonstrated_chains import demonstrated_chains
from services.synthesis.request.families import COPIES, DEFAULT_FAMILIES, FAMILIES, Family
from services.synthesis.request.goals import Goal
from services.synthesis.request.keep_outs import KeepOuts
from services.synthesis.request.shard_size import SHARD_BYTES, default_rows, most_rows, row_bytes, row_times
from services.synthesis.request.workspace import Box, Fitted, JointSpace, Known, Objects, Poses, RequestPart, Workspace
from shared.demonstrated_motions import DemonstratedMotions
from shared.errors import RequestError, RobotError
from shared.records import OPTIONAL_COLUMNS, copy_columns

MAX_SHARDS = 1_000_000

Scale = Annotated[float, Field(strict=True, ge=0.01, le=1)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Speed = Annotated[float, Field(strict=True, ge=0.005, le=10)]


class TrajectoryRequest(RequestPart):
    """What to make. Every key but robot and count has a default.

    Attributes:
        robot: name of an arm, the catalogue's or an uploaded one.
        count: trajectories wanted.
        seed: of every draw; other data for the same request needs another seed.
        rate_hz: samples per second.
        families: motion families and their weights.
        workspace: where targets are drawn.
        goal: how much of a drawn pose must be reached: all of it, its position, or its position and the direction of
            the tool's z axis. Records hold the whole pose that was reached.
        speed_scale: range of the time dilation s drawn for each trajectory: limits s*v, s^2*a, s^3*j.
        tool_speed: range [m/s] of the mean tool speed drawn for each segment, which stretches it, or None.
        via_velocity: range of the share of its speed that the arm keeps at a waypoint of via_points where the gripper
            does nothing, or None to stop at each.
        self_collision: whether trajectories that bring links of the arm together are rejected.
        keep_out: boxes and half-spaces that no link that moves may enter, nor the tool centre point.
        columns: optional columns to write.
        shard_rows: rows of each shard but the last; by default as many as rate_hz, the arm's speed, a worker's memory
            and a wish for several shards suggest.
    """

    robot: str
    count: Annotated[int, Field(strict=True, ge=1, le=10**9)]
    seed: Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)] = 0
    rate_hz: Annotated[float, Field(strict=True, ge=0.1, le=1000)] = 20.0
    families: dict[Family, Annotated[float, Field(strict=True, ge=0, le=1e6)]] = Field(
        default_factory=DEFAULT_FAMILIES.copy
    )
    workspace: Workspace = JointSpace(kind="joint_space")
    goal: Goal = Field("pose", validate_default=True)
    speed_scale: tuple[Scale, Scale] = (0.1, 1.0)
    tool_speed: tuple[Speed, Speed] | None = None
    via_velocity: tuple[Share, Share] | None = None
    self_collision: Annotated[bool, Field(strict=True)] = True
    keep_out: KeepOuts = ()
    columns: tuple[str, ...] = ()
    shard_rows: Annotated[int, Field(strict=True, ge=1, le=65536)] = Field(
        default_factory=lambda: None, validate_default=True
    )

    _arm: Arm = PrivateAttr()

    @classmethod
    def parse(
        cls,
        body: Any,
        find: Callable[[str], Arm] = find_arm,
        motions: Callable[[str], DemonstratedMotions | None] = lambda sha256: None,
    ) -> "TrajectoryRequest":
        """Reads a request from a JSON object.

        Args:
            body: the object.
            find: gives the arm of a name, or raises RobotError; by default from the catalogue.
            motions: gives the demonstrations of a motions file's sha256, or None; by default there are none.

        Raises:
            RequestError: with a JSON pointer for each problem.
        """
        if not isinstance(body, dict):
            raise RequestError("the request is not valid", [("", "a request is a JSON object")])
        try:
            return cls.model_validate(_with_family(body), context=Known(find, motions))
        except ValidationError as error:
            problems = [(_pointer(item["loc"]), _detail(item)) for item in error.errors()]
            raise RequestError("the request is not valid", problems) from None

    @property
    def arm(self) -> Arm:
        """The arm called `robot`. It is a part of the request: processes that are sent one need no other source."""
        return self._arm

    @field_validator("robot")
    @classmethod
    def _robot_is_known(cls, robot: str, info: ValidationInfo) -> str:
        _find(robot, info)
        return robot

    @field_validator("goal")
    @classmethod
    def _arm_can_reach_poses(cls, goal: Goal, info: ValidationInfo) -> Goal:
        arm = _find(info.data["robot"], info) if "robot" in info.data else None
        anywhere = isinstance(info.data.get("workspace"), Box | Fitted | Objects)
        straight = any(info.data.get("families", {}).get(name) for name in ("cartesian_line", "pick_and_place"))
        if arm and (anywhere or straight) and goal == "pose" and len(arm.joints) < 6:
            raise ValueError(
                f"{arm.name} has {len(arm.joints)} joints, which can't give the tool any position and orientation: ask "
                "for goal 'position_axis' (position and direction of the tool's z axis) or 'position'"
            )
        return goal

    @field_validator("goal")
    @classmethod
    def _poses_differ_in_what_is_asked(cls, goal: Goal, info: ValidationInfo) -> Goal:
        workspace = info.data.get("workspace")
        if isinstance(workspace, Poses) and goal != "pose" and (problem := workspace.standstill(goal)) is not None:
            raise ValueError(problem)
        return goal

    @field_validator("families")
    @classmethod
    def _some_family_has_weight(cls, families: dict[Family, float]) -> dict[Family, float]:
        if not sum(families.values()) > 0:
            raise ValueError(f"give at least one of {', '.join(FAMILIES)} a weight above 0")
        return families

    @field_validator("columns")
    @classmethod
    def _columns_are_known(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        for name in columns:
            if name not in OPTIONAL_COLUMNS:
                raise ValueError(f"unknown column {name!r}; optional columns are {', '.join(OPTIONAL_COLUMNS)}")
        wanted = set(columns)
        if len({"profile_time", "profile_jerk"} & wanted) == 1:
            raise ValueError("profile_time and profile_jerk only mean something together: ask for both")
        return tuple(name for name in OPTIONAL_COLUMNS if name in wanted)

    @field_validator("speed_scale", "tool_speed", "via_velocity")
    @classmethod
    def _range_is_ordered(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and value[0] > value[1]:
            raise ValueError(f"a range is [lowest, highest]; got [{value[0]:g}, {value[1]:g}]")
        return value

    @field_validator("shard_rows", mode="before")
    @classmethod
    def _shard_fits_in_memory(cls, rows: Any, info: ValidationInfo) -> Any:
        if not {"robot", "count", "rate_hz", "families", "workspace", "speed_scale", "tool_speed", "columns"} <= set(
            info.data
        ):
            # What is wrong with those is said; nothing follows from them.
            return 1 if rows is None else rows
        asked, rate_hz = info.data, info.data["rate_hz"]
        arm = _find(asked["robot"], info)
        times = row_times(arm, asked["families"], asked["workspace"], asked["speed_scale"], asked["tool_speed"])
        written = _written(asked["columns"], asked["workspace"])
        lines = not set(asked["families"]) <= {"point_to_point", "via_points", "hold"}
        *drawn, longest = row_bytes(len(arm.joints), written, rate_hz, lines, np.append(times.drawn, times.longest))
        most = most_rows(np.array(drawn), longest)
        if most == 0:
            fits = math.floor(10 * rate_hz * SHARD_BYTES / longest) / 10
            raise ValueError(
                f"one row may last {times.longest:.0f} s, more than a worker's memory holds at {rate_hz:g} Hz: use a "
                f"rate_hz of at most {fits:g}, or raise the lower end of speed_scale or tool_speed"
            )
        if rows is None:
            return default_rows(asked["count"], most)
        if isinstance(rows, int) and min(rows, asked["count"]) > most:
            raise ValueError(
                f"{rows} rows at {rate_hz:g} Hz may be more than a worker's memory holds: use at most {most}, or leave "
                "it out"
            )
        return rows

    @model_validator(mode="after")
    def _keep_the_arm(self, info: ValidationInfo) -> Self:
        self._arm = _find(self.robot, info)
        return self

    @model_validator(mode="after")
    def _shards_are_countable(self) -> Self:
        if -(-self.count // self.shard_rows) > MAX_SHARDS:
            raise ValueError(
                f"{self.count} rows in shards of {self.shard_rows} are more than {MAX_SHARDS} files; raise shard_rows, "
                "or split the request by seed"
            )
        return self

    @model_validator(mode="after")
    def _copies_have_their_family(self) -> Self:
        copies = isinstance(self.workspace, Objects)
        others = any(weight for name, weight in self.families.items() if name != "demonstrated")
        if copies != bool(self.families.get("demonstrated")) or (copies and others):
            raise ValueError(
                "family 'demonstrated' and workspace 'objects' only go together, and with no other: leave families out "
                "with that workspace, or name the others with another"
            )
        for key in ("speed_scale", "tool_speed", "via_velocity"):
            if copies and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"copies have the speeds of their demonstrations; leave {key} out")
        return self

    @property
    def optional_columns(self) -> tuple[str, ...]:
        """Columns that are written beside those of every row: the ones asked for, and those of copies."""
        return _written(self.columns, self.workspace)

    @model_validator(mode="after")
    def _fits_the_demonstrations(self) -> Self:
        if not isinstance(self.workspace, Fitted):
            return self
        if not self.workspace.summary.is_of(self.robot):
            raise ValueError(
                f"the demonstrations are of robot {self.workspace.summary.robot!r}, the request's is {self.robot!r}: "
                "poses of one arm's tool in its base frame mean nothing for another"
            )
        if self.families.get("pick_and_place") and not demonstrated_chains(self.workspace.summary).places:
            raise ValueError(
                "none of the demonstrations picks and places: closes the gripper, lifts, moves on, goes down and opens "
                "it; leave pick_and_place out of families"
            )
        for key in ("speed_scale", "tool_speed", "via_velocity"):
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"speeds of a fitted workspace are the demonstrations'; leave {key} out")
        return self

    @functools.cached_property
    def expected_row_s(self) -> float:
        """How long a row is expected to take on average [s], rather too long than too short."""
        return float(row_times(self.arm, self.families, self.workspace, self.speed_scale, self.tool_speed).drawn.mean())

    def resolved(self) -> dict[str, Any]:
        """What identifies the data: no key that has its default but shard_rows, robot and summary by content, and
        generator_version."""
        body = self.model_dump(mode="json", exclude_defaults=True, exclude={"workspace": {"summary"}})
        if isinstance(self.workspace, Fitted):
            body["workspace"]["summary"] = {"sha256": self.workspace.summary.content_sha256}
        if self.families == (COPIES if isinstance(self.workspace, Objects) else DEFAULT_FAMILIES):
            body.pop("families", None)
        return {
            **body,
            "robot": {"name": self.robot, "sha256": self.arm.content_hash},
            "generator_version": GENERATOR_VERSION,
        }

    @functools.cached_property
    def dataset_id(self) -> str:
        """sha256 of the resolved request's canonical JSON: sorted keys, no spaces."""
        text = json.dumps(self.resolved(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


def _written(columns: tuple[str, ...], workspace: Workspace) -> tuple[str, ...]:
    """The optional columns asked for, and those of copies."""
    if not isinstance(workspace, Objects):
        return columns
    return (*columns, *copy_columns([thing.name for thing in workspace.motions.objects]))


def _find(robot: str, info: ValidationInfo) -> Arm:
    """The arm of a name, by what `parse` was given for it."""
    known = info.context if isinstance(info.context, Known) else Known()
    try:
        return known.robot(robot)
    except RobotError as error:
        raise ValueError(str(error)) from None


def _with_family(body: dict[str, Any]) -> dict[str, Any]:
    """The body with the family that copies are of, where it names none."""
    workspace = body.get("workspace")
    copies = isinstance(workspace, dict) and workspace.get("kind") == "objects"
    return {"families": COPIES, **body} if copies else body


def _pointer(location: tuple[int | str, ...]) -> str:
    """RFC 6901 pointer of a pydantic location, without the tags it inserts for unions."""
    parts = [str(part) for part in location if part != "[key]"]
    tag = {"workspace": 1, "keep_out": 2}.get(parts[0] if parts else "")
    if (
        tag
        and len(parts) > tag
        and parts[tag] in ("joint_space", "reachable", "box", "poses", "fitted", "objects", "half_space")
    ):
        del parts[tag]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def _detail(item: Any) -> str:
    """A pydantic error as one sentence."""
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        return "unknown key; remove it or correct its spelling"
    if item["type"] == "missing":
        return "this key is required"
    return message[0].lower() + message[1:]
