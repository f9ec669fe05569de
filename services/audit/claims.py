"""What a dataset's header says of its rows, read for the audit; its request may have come from anywhere."""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from shared.errors import DatasetFormatError
from shared.manifest import DatasetHeader
from shared.robots import JointLimits

FloatArray = NDArray[np.float64]

_Point = tuple[FiniteFloat, FiniteFloat, FiniteFloat]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class BoxClaim(_Part):
    """A box [m] of the base frame that the arm stays out of."""

    kind: Literal["box"]
    min: _Point
    max: _Point

    def depth(self, points: FloatArray) -> FloatArray:
        """How deep in it points (n, 3) are, negative outside, shape (n,) [m]."""
        return np.asarray(np.minimum(points - self.min, np.subtract(self.max, points)).min(1))


class HalfSpaceClaim(_Part):
    """All below the plane x . n = offset [m], n being the normal's direction in the base frame."""

    kind: Literal["half_space"]
    normal: _Point
    offset: FiniteFloat

    @property
    def unit_normal(self) -> FloatArray:
        """The normal, of length 1, shape (3,)."""
        return np.asarray(np.array(self.normal) / max(float(np.linalg.norm(self.normal)), 1e-12))

    def depth(self, points: FloatArray) -> FloatArray:
        """How deep in it points (n, 3) are, negative outside, shape (n,) [m]."""
        return np.asarray(self.offset - points @ self.unit_normal)


class ObjectClaim(_Part):
    """How large an object is [m], if that is said."""

    size: _Point | None = None


class WorkspaceClaim(_Part):
    """The objects of a workspace that has some."""

    objects: dict[str, ObjectClaim] = Field(default_factory=dict)


class Claims(_Part):
    """The parts of a resolved request that an audit holds rows to, with the request's defaults."""

    families: dict[str, FiniteFloat] = Field(default_factory=lambda: {"point_to_point": 0.5, "via_points": 0.5})
    speed_scale: tuple[FiniteFloat, Annotated[float, Field(gt=0, le=1)]] = (0.1, 1.0)
    self_collision: bool = True
    keep_out: Annotated[
        tuple[Annotated[BoxClaim | HalfSpaceClaim, Field(discriminator="kind")], ...], Field(max_length=100)
    ] = ()
    workspace: WorkspaceClaim = WorkspaceClaim()

    @classmethod
    def of(cls, header: DatasetHeader) -> "Claims":
        """Reads a header's request. Raises DatasetFormatError."""
        workspace = header.request.get("workspace")
        copies = isinstance(workspace, dict) and workspace.get("kind") == "objects"
        try:
            return cls.model_validate({**({"families": {"demonstrated": 1.0}} if copies else {}), **header.request})
        except ValidationError as error:
            first: Any = error.errors()[0]
            where = "/".join(map(str, first["loc"]))
            raise DatasetFormatError(
                f"its request can't be read: {where}: {first['msg']}; restore it", "dataset.json"
            ) from None

    def size_of(self, name: str) -> _Point | None:
        """Edge lengths of the box around an object [m], or None."""
        return self.workspace.objects.get(name, ObjectClaim()).size

    def limits(self, header: DatasetHeader) -> JointLimits:
        """The robot's limits under the fastest speed scale."""
        return header.robot.limits.scaled(self.speed_scale[1])
