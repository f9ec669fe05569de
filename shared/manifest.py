"""What a dataset says of itself: its header, its commits and its state, and their JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from shared import records
from shared.errors import DatasetFormatError
from shared.robots import RobotSpec

State = Literal["growing", "sealed", "cancelled", "failed"]
Ranges = dict[str, dict[str, list[float]]]
"""{"position": {"min": [3], "max": [3]}, "joint_position": {"min": [dof], "max": [dof]}} in m and rad."""

_REMEDY = "; restore it, or make the dataset again"


@dataclass(frozen=True)
class DatasetHeader:
    """dataset.json: what the dataset is, fixed before its first shard.

    Attributes:
        dataset_id: sha256 of the resolved request.
        request: the resolved request.
        generator_version: of the synthesis that makes it.
        robot: names, limits and frames.
        count: trajectories in the whole dataset.
        shard_rows: rows of every shard but the last.
        rate_hz: samples per second.
        optional_columns: the optional columns its rows have.
        action_range: ranges that no accepted row leaves, whatever rows have arrived.
        versions: of the libraries that made it.
        schema_version: of the record.
    """

    dataset_id: str
    request: dict[str, Any]
    generator_version: int
    robot: RobotSpec
    count: int
    shard_rows: int
    rate_hz: float
    optional_columns: tuple[str, ...]
    action_range: Ranges
    versions: dict[str, str]
    schema_version: str = records.SCHEMA_VERSION

    @property
    def shards(self) -> int:
        """Number of shards of the whole dataset."""
        return -(-self.count // self.shard_rows)

    def rows_in(self, index: int) -> int:
        """Rows of shard `index`."""
        return min(self.shard_rows, self.count - index * self.shard_rows)

    def to_json(self) -> dict[str, Any]:
        """The object of dataset.json."""
        names = [name for name in self.__dataclass_fields__ if name != "robot"]
        return {**{name: getattr(self, name) for name in names}, "robot": self.robot.to_json()}

    @classmethod
    def from_json(cls, value: Any, where: Path | str) -> "DatasetHeader":
        """Reads dataset.json's object. Raises DatasetFormatError naming `where`."""
        if not isinstance(value, dict):
            raise DatasetFormatError("is not a dataset description, which is a JSON object" + _REMEDY, where)
        version = str(value.get("schema_version", "missing"))
        if version.split(".")[0] != records.SCHEMA_VERSION.split(".")[0]:
            raise DatasetFormatError(
                f"has schema version {version}; this program reads {records.SCHEMA_VERSION}. "
                "Read it with the release that wrote it, or generate it again",
                where,
            )
        try:
            fields = {name: value[name] for name in cls.__dataclass_fields__}
            fields["robot"] = RobotSpec.from_json(value["robot"])
            fields["optional_columns"] = tuple(value["optional_columns"])
            _require(fields, {"dataset_id": str, "request": dict, "generator_version": int, "count": int})
            _require(fields, {"shard_rows": int, "rate_hz": float, "action_range": dict, "versions": dict})
            if min(fields["count"], fields["shard_rows"], fields["rate_hz"]) <= 0:
                raise ValueError("count, shard_rows and rate_hz must be greater than 0")
            return cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetFormatError(f"is not a dataset description: {error!r}" + _REMEDY, where) from error


@dataclass(frozen=True)
class Commit:
    """commits/<index>.json: what makes a shard visible.

    Attributes:
        index: of the shard.
        rows: number of trajectories.
        samples: number of time steps over all rows.
        bytes: size of the shard file.
        file_sha256: of the file's bytes.
        content_sha256: of the rows (records.content_hash), equal whatever packed the file.
        attempts: candidates tried.
        rejections: candidates that failed, by reason.
        statistics: for each float column, {"count", "mean", "M2", "min", "max"} per component over all samples.
        rejections_by_family: candidates that failed, by family and reason; empty in commits of older releases.
    """

    index: int
    rows: int
    samples: int
    bytes: int
    file_sha256: str
    content_sha256: str
    attempts: int
    rejections: dict[str, int]
    statistics: dict[str, dict[str, Any]]
    rejections_by_family: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: Any, where: Path | str) -> "Commit":
        """Reads a commit's object. Raises DatasetFormatError naming `where`."""
        try:
            _require({"rejections_by_family": {}, **value}, cls.__annotations__)
            return cls(**value)
        except (KeyError, TypeError) as error:
            raise DatasetFormatError(f"is not a commit record: {error!r}" + _REMEDY, where) from error


@dataclass(frozen=True)
class DatasetState:
    """How far a dataset is: its state, why it ended if it failed, and its commits in index order."""

    state: State
    reason: str = ""
    commits: tuple[Commit, ...] = field(default=())

    @classmethod
    def from_json(cls, value: Any, where: Path | str) -> "DatasetState":
        """Reads manifest.json's object. Raises DatasetFormatError naming `where`."""
        try:
            _require(value, {"state": str, "reason": str, "commits": list})
            if value["state"] not in get_args(State):
                raise ValueError(f"{value['state']!r} is no state")
            return cls(value["state"], value["reason"], tuple(Commit.from_json(c, where) for c in value["commits"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetFormatError(f"is not a manifest: {error!r}" + _REMEDY, where) from error

    @property
    def watermark(self) -> int:
        """Number of shards committed without a gap, from shard 0."""
        indices = {commit.index for commit in self.commits}
        return next(index for index in range(len(indices) + 1) if index not in indices)


def _require(value: Any, kinds: Mapping[str, Any]) -> None:
    """Raises KeyError or TypeError unless the JSON object `value` has each name, with a value of its kind."""
    for name, kind in kinds.items():
        entry = value[name]
        accepted = (int, float) if kind is float else get_origin(kind) or kind
        if not isinstance(entry, accepted) or isinstance(entry, bool):
            raise TypeError(f"{name} is {entry!r:.40}")
