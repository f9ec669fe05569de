"""Where the targets of a request are drawn: joint space, reachable poses, or a box."""

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Coordinate = Annotated[float, Field(strict=True, ge=-10, le=10)]
Point = tuple[Coordinate, Coordinate, Coordinate]


class RequestPart(BaseModel):
    """A JSON object of the request: frozen, and closed to unknown keys, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Cone(RequestPart):
    """Tool orientations whose z axis lies within `angle_deg` of `axis` (base frame), at any turn about it."""

    kind: Literal["cone"] = "cone"
    axis: Point = (0.0, 0.0, -1.0)
    angle_deg: Annotated[float, Field(strict=True, ge=0, le=180)] = 30.0

    @field_validator("axis")
    @classmethod
    def _axis_has_length(cls, axis: Point) -> Point:
        if math.hypot(*axis) < 1e-6:
            raise ValueError("the axis has no direction; give one such as [0, 0, -1]")
        return axis


class JointSpace(RequestPart):
    """Configurations drawn inside the joint limits; no IK."""

    kind: Literal["joint_space"]


class Reachable(RequestPart):
    """Poses made by FK of configurations inside the limits, solved by IK."""

    kind: Literal["reachable"]


class Box(RequestPart):
    """Poses in an axis-aligned box of the base frame [m], with a cone of orientations."""

    kind: Literal["box"]
    min: Point
    max: Point
    orientation: Cone = Cone()

    @model_validator(mode="after")
    def _has_volume(self) -> Self:
        for axis, low, high in zip("xyz", self.min, self.max, strict=True):
            if not low < high:
                raise ValueError(f"min must be below max on every axis; {axis} has {low:g} and {high:g}")
        return self


Workspace = Annotated[JointSpace | Reachable | Box, Field(discriminator="kind")]
