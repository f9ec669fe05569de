"""Several datasets that are trained on together: what must agree between them, and what each is worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.errors import ConfigError
from shared.follow import ShardSource
from shared.manifest import DatasetHeader
from trainer.config import PretrainConfig
from trainer.data.action import ActionRange
from trainer.data.shares import shares_of


@dataclass(frozen=True)
class JoinedDatasets:
    """Datasets in a fixed order, each with its share of the windows that are drawn.

    They may be finished or growing, on a disk, in an object store or of a service, and of any number of rows.

    Attributes:
        sources: the datasets; the first one's arm is the one that checkpoints name.
        shares: of each, above 0; their sum is 1.
    """

    sources: tuple[ShardSource, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, sources: Sequence[ShardSource], weights: Sequence[float] | None = None) -> "JoinedDatasets":
        """Joins datasets; their shares are as their weights, or equal.

        Raises ConfigError where there is not one weight above 0 for each, or a dataset is there twice.
        """
        shares = shares_of(weights, len(sources))
        ids = [source.header.dataset_id for source in sources]
        for place, one in enumerate(ids):
            if one in ids[:place]:
                raise ConfigError(
                    f"dataset {one[:12]} is given as number {ids.index(one) + 1} and as number {place + 1}; give it "
                    "once, with the weight that it shall have"
                )
        return cls(tuple(sources), shares)

    @property
    def header(self) -> DatasetHeader:
        """The first one's."""
        return self.sources[0].header

    @property
    def action_range(self) -> ActionRange:
        """The smallest that holds every one's; that of joints only where all are of one arm."""
        headers = [source.header for source in self.sources]
        names = set.intersection(*(set(header.action_range) for header in headers))
        if any(_arm(header) != _arm(self.header) for header in headers):
            names -= {"joint_position"}
        ranges = {name: [header.action_range[name] for header in headers] for name in sorted(names)}
        return {
            name: {
                "min": np.min([one["min"] for one in every], axis=0).tolist(),
                "max": np.max([one["max"] for one in every], axis=0).tolist(),
            }
            for name, every in ranges.items()
        }

    @property
    def shares_by_id(self) -> dict[str, float] | None:
        """The share of each dataset by its id; None where there is one alone."""
        if len(self.sources) == 1:
            return None
        return {source.header.dataset_id: share for source, share in zip(self.sources, self.shares, strict=True)}

    def to_json(self) -> dict[str, Any]:
        """What a run's config.json says of its data."""
        if self.shares_by_id is None:
            return {"dataset_id": self.header.dataset_id}
        return {"datasets": [{"dataset_id": one, "share": share} for one, share in self.shares_by_id.items()]}

    def check(self, config: PretrainConfig) -> None:
        """Raises ConfigError where two of them can't be trained on together, saying what differs.

        All need one rate. Poses may be of several arms, each in its own base frame, but not of two tool frames of one
        arm. Joints need one arm, whether they are the actions or the condition.
        """
        first = self.header
        joints = "joint_position" in (config.head.action, config.condition)
        for other in (source.header for source in self.sources[1:]):
            a, b = f"dataset {first.dataset_id[:12]}", f"dataset {other.dataset_id[:12]}"
            if other.rate_hz != first.rate_hz:
                raise ConfigError(
                    f"{a} is at {first.rate_hz:g} Hz, {b} at {other.rate_hz:g} Hz; datasets that are joined need one "
                    "rate: generate one of them again"
                )
            if joints and _arm(other) != _arm(first):
                raise ConfigError(
                    f"{a} is of robot '{first.robot.name}', {b} of '{other.robot.name}': their joints are not the "
                    "same. Poses of several arms can be joined: --action ee_pose with --condition endpoints, ee_pose "
                    "or none"
                )
            if other.robot.name == first.robot.name and _frames(other) != _frames(first):
                raise ConfigError(
                    f"the poses of {a} are of {' in '.join(_frames(first))}, those of {b} of "
                    f"{' in '.join(_frames(other))}; generate one of them again"
                )


def _arm(header: DatasetHeader) -> tuple[str, tuple[str, ...]]:
    return header.robot.name, header.robot.joint_names


def _frames(header: DatasetHeader) -> tuple[str, str]:
    return f"'{header.robot.tool_frame}'", f"'{header.robot.base_frame}'"
