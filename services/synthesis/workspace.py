"""Where the targets of a request are drawn: joint space, reachable poses, or a box."""

import math
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Coordinate = Annotated[float, Field(strict=True, ge=-10, le=10)]
Point = tuple[Coordinate, Coordinate, Coordinate]


def _has_length(vector: Point) -> Point:
    if math.hypot(*vector) < 1e-6:
        raise ValueError("it has no direction; give one such as [0, 0, -1]")
    return vector


Direction = Annotated[Point, AfterValidator(_has_length)]


class RequestPart(BaseModel):
    """A JSON object of the request: frozen, and closed to unknown keys, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Cone(RequestPart):
    """Tool orientations whose z axis lies within `angle_deg` of `axis` (base frame), at any turn about it."""

    kind: Literal["cone"] = "cone"
    axis: Direction = (0.0, 0.0, -1.0)
    angle_deg: Annotated[float, Field(strict=True, ge=0, le=180)] = 30.0


class Extent(RequestPart):
    """An axis-aligned box of the base frame [m]."""

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
    """Poses in a box, with a cone of orientations."""

    kind: Literal["box"]
    orientation: Cone = Cone()


Workspace = Annotated[JointSpace | Reachable | Box, Field(discriminator="kind")]
