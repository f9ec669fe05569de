"""What a dataset says of itself: its header, its commits and its manifest, and their JSON."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from headstart_client.data.columns import READABLE_MAJORS, SCHEMA_VERSION
from headstart_client.data.robots import RobotSpec
from headstart_client.errors import DatasetFormatError

State = Literal["growing", "sealed", "cancelled", "failed"]
Ranges = dict[str, dict[str, list[float]]]
"""{"position": {"min": [3], "max": [3]}, "joint_position": {"min": [dof], "max": [dof]}} in m and rad."""

_REMEDY = "; restore it, or make the dataset again"
SHARD_FILE = r"shard-[0-9]{8}(-[0-9a-f]{16})?\.parquet"
"""What names of shard files look like; without the hash in schema version 1."""


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
        schema_version: of the record and of the dataset's layout.
        created_at: when it was begun, in ISO 8601 with its UTC offset; "" in datasets of releases that did not say.
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
    schema_version: str = SCHEMA_VERSION
    created_at: str = ""

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
        if version.split(".")[0] not in READABLE_MAJORS:
            raise DatasetFormatError(
                f"has schema version {version}; this program reads {SCHEMA_VERSION}. "
                "Read it with the release that wrote it, or generate it again",
                where,
            )
        try:
            fields = {name: value[name] for name in cls.__dataclass_fields__ if name != "created_at"}
            fields["created_at"] = str(value.get("created_at", ""))
            fields["robot"] = RobotSpec.from_json(value["robot"])
            fields["optional_columns"] = tuple(value["optional_columns"])
            _require(fields, {"dataset_id": str, "request": dict, "generator_version": int, "count": int})
            _require(fields, {"shard_rows": int, "rate_hz": float, "action_range": dict, "versions": dict})
            if min(fields["count"], fields["shard_rows"], fields["rate_hz"]) <= 0:
                raise ValueError("count, shard_rows and rate_hz must be greater than 0")
            return cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetFormatError(f"is not a dataset description: {error!r}" + _REMEDY, where) from error


BY_FAMILY = ("rejections_by_family", "redraws_by_family")
"""What a commit counts by family and reason. Commits of older releases lack it."""
_COUNTED = ("rejections", *BY_FAMILY)


@dataclass(frozen=True, slots=True)
class Commit:
    """What makes a shard visible: commits/<index>.json, or a row of a block of commits.

    The statistics of its columns are beside it in the file, and read by Dataset.statistics.

    Attributes:
        index: of the shard.
        rows: number of trajectories.
        samples: number of time steps over all rows.
        bytes: size of the shard file.
        file: name of the shard file, in shards/.
        file_sha256: of the file's bytes.
        content_sha256: of the rows (records.content_hash), equal whatever packed the file.
        attempts: candidates tried.
        rejections: candidates that failed, by reason.
        rejections_by_family: likewise, by family and reason; empty in commits of older releases.
        redraws_by_family: ends of motions that were drawn anew, none of them a candidate, likewise.
    """

    index: int
    rows: int
    samples: int
    bytes: int
    file: str
    file_sha256: str
    content_sha256: str
    attempts: int
    rejections: dict[str, int]
    rejections_by_family: dict[str, dict[str, int]] = field(default_factory=dict)
    redraws_by_family: dict[str, dict[str, int]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Its object, without statistics."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any, where: Path | str) -> "Commit":
        """Reads a commit's object. Raises DatasetFormatError naming `where`."""
        try:
            # Before files were named by their content, the index said which it is.
            named = {"file": f"shard-{value['index']:08d}.parquet", **_none_by_family(), **value}
            fields = {name: named[name] for name in cls.__annotations__}
            _require(fields, cls.__annotations__)
            if not re.fullmatch(SHARD_FILE, fields["file"]):
                raise ValueError(f"{fields['file']!r:.80} is no shard's file")
            return cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetFormatError(f"is not a commit record: {error!r}" + _REMEDY, where) from error


@dataclass(frozen=True)
class Totals:
    """Sums over commits: how many there are, and of what each of them says."""

    commits: int = 0
    rows: int = 0
    samples: int = 0
    bytes: int = 0
    attempts: int = 0
    rejections: Mapping[str, int] = field(default_factory=dict)
    rejections_by_family: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    redraws_by_family: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, commits: Iterable[Commit]) -> "Totals":
        """The sums over these."""
        names = [name for name in cls.__dataclass_fields__ if name != "commits"]
        return cls.sum(cls(1, **{name: getattr(commit, name) for name in names}) for commit in commits)

    @classmethod
    def sum(cls, parts: Iterable["Totals"]) -> "Totals":
        """The sums over all of these."""
        counts: Counter[str] = Counter()
        rejections: Counter[str] = Counter()
        by_family: dict[str, dict[str, Counter[str]]] = {name: {} for name in BY_FAMILY}
        for part in parts:
            for name in ("commits", "rows", "samples", "bytes", "attempts"):
                counts[name] += getattr(part, name)
            for reason, count in part.rejections.items():
                rejections[reason] += count
            for name, sums in by_family.items():
                for family, of_family in getattr(part, name).items():
                    sums.setdefault(family, Counter()).update(of_family)
        families = {
            name: {family: dict(sorted(of_family.items())) for family, of_family in sorted(sums.items())}
            for name, sums in by_family.items()
        }
        return cls(
            **counts,
            rejections=dict(sorted(rejections.items())),
            rejections_by_family=families["rejections_by_family"],
            redraws_by_family=families["redraws_by_family"],
        )


@dataclass(frozen=True)
class Manifest:
    """manifest.json: the dataset's state, and the sums over its commits when that was written.

    Attributes:
        state: growing, sealed, cancelled or failed.
        reason: why it failed, or "".
        totals: over the commits there were; None where an earlier release wrote it, or for a dataset just begun.
        commits: of a sealed dataset of schema version 1, which has them here.
    """

    state: State
    reason: str = ""
    totals: Totals | None = None
    commits: tuple[Commit, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object of manifest.json."""
        totals = None if self.totals is None else asdict(self.totals)
        return {"state": self.state, "reason": self.reason, "totals": totals}

    @classmethod
    def from_json(cls, value: Any, where: Path | str) -> "Manifest":
        """Reads manifest.json's object. Raises DatasetFormatError naming `where`."""
        try:
            _require(value, {"state": str, "reason": str})
            if value["state"] not in get_args(State):
                raise ValueError(f"{value['state']!r} is no state")
            if "totals" not in value:
                _require(value, {"commits": list})
                commits = tuple(Commit.from_json(commit, where) for commit in value["commits"])
                totals = Totals.of(commits) if value["state"] == "sealed" else None
                return cls(value["state"], value["reason"], totals, commits)
            totals = None
            if value["totals"] is not None:
                given = {**_none_by_family(), **value["totals"]}
                kinds = {name: dict if name in _COUNTED else int for name in Totals.__dataclass_fields__}
                _require(given, kinds)
                totals = Totals(**{name: given[name] for name in kinds})
            elif value["state"] == "sealed":
                raise ValueError("it is sealed without totals")
            return cls(value["state"], value["reason"], totals)
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetFormatError(f"is not a manifest: {error!r}" + _REMEDY, where) from error


def _none_by_family() -> dict[str, dict[str, Any]]:
    """What older releases lack."""
    return {name: {} for name in BY_FAMILY}


def _require(value: Any, kinds: Mapping[str, Any]) -> None:
    """Raises KeyError or TypeError unless the JSON object `value` has each name, with a value of its kind."""
    for name, kind in kinds.items():
        entry = value[name]
        accepted = (int, float) if kind is float else get_origin(kind) or kind
        if not isinstance(entry, accepted) or isinstance(entry, bool):
            raise TypeError(f"{name} is {entry!r:.40}")
