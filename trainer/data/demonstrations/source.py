"""Data sets that other programs wrote, before a mapping says what they mean."""

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trainer.data.demonstrations.checks.faults import ColumnFault
from trainer.data.demonstrations.episode import Images
from trainer.data.demonstrations.mapping.mapping import Mapping
from trainer.data.demonstrations.mapping.motion import RawEpisode


@dataclass(frozen=True)
class Contents:
    """What a data set says of itself.

    Attributes:
        format: its name and version.
        episodes: how many it has.
        columns: each column of numbers with its width.
        cameras: each column of pictures with their height and width.
        rate_hz: control rate; None where it does not say.
        robot: name of the robot; likewise.
        tasks: names of its tasks.
        masks: named selections of its episodes.
        defaults: columns that are the observation where the mapping does not choose.
        components: names of a column's components, where it says them.
        others: what else it holds, with the reason why it is neither a column nor a camera.
        notes: what a user should know of it.
    """

    format: str
    episodes: int
    columns: dict[str, int]
    cameras: dict[str, tuple[int, int]]
    rate_hz: float | None = None
    robot: str | None = None
    tasks: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    defaults: tuple[str, ...] = ()
    components: Dict[str, tuple[str, ...]] = field(default_factory=dict)
    others: Dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chosen:
    """An episode that is used: its index in the data set, and whether it is held out."""

    index: int
    validation: bool


class Source(Protocol):
    """A data set. Its errors are DemonstrationErrors that name the file and the episode."""

    @property
    def contents(self) -> Contents:
        """What it says of itself."""
        ...

    def choose(self, mapping: Mapping) -> Sequence[Chosen]:
        """The episodes that a mapping asks for."""
        ...

    def look(self, index: int, columns: Sequence[str]) -> tuple[RawEpisode, dict[str, ColumnFault]]:
        """An episode's columns, those that can be used, and what is wrong with the others."""
        ...

    def read(self, index: int, columns: Sequence[str]) -> RawEpisode:
        """An episode's columns, all of which must be usable."""
        ...

    def images(self, index: int, camera: str, size: tuple[int, int] | None) -> Images:
        """An episode's pictures, resized to height and width where they are given."""
        ...
