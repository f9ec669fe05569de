"""Why a column of an episode can't be used."""

from typing import Literal

FaultKind = Literal["missing", "not one row a step", "not finite", "not numbers"]


class ColumnFault(ValueError):
    """A column of one episode that can't be read as one finite row of numbers a step.

    Attributes:
        kind: what kind of fault it is: a description of a data set counts the episodes of each.
    """

    def __init__(self, kind: FaultKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
