"""Where the arm must not be: the keep-outs of a request, in the base frame."""

import math
from typing import Annotated, Literal

from pydantic import Field

from services.synthesis.request.workspace import Coordinate, Direction, Extent, RequestPart
from shared.plain_sum import plain_sum

MAX_KEEP_OUTS = 32


class KeepOutBox(Extent):
    """A box that the arm stays out of."""

    kind: Literal["box"]


class HalfSpace(RequestPart):
    """All that lies below a plane, such as a table.

    Attributes:
        normal: of the plane, in the base frame; of any length. It points to where the arm may be.
        offset: distance of the plane from the base's origin along the normal [m].
    """

    kind: Literal["half_space"]
    normal: Direction
    offset: Coordinate

    @property
    def unit_normal(self) -> tuple[float, ...]:
        """The normal, of length 1; it points to where the arm may be."""
        length = math.sqrt(plain_sum(value * value for value in self.normal))
        return tuple(value / length for value in self.normal)


KeepOut = Annotated[KeepOutBox | HalfSpace, Field(discriminator="kind")]
KeepOuts = Annotated[tuple[KeepOut, ...], Field(max_length=MAX_KEEP_OUTS)]
