"""Several datasets that are trained on together: what must agree between them, and what each is worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.errors import ConfigError
from shared.follow import ShardSource
from shared.manifest import DatasetHeader
from trainer.config import ActionName, HeadConfig, PretrainConfig
from trainer.data.action import ActionRange
from trainer.data.normalization import ActionNormalizer
from trainer.data.relative_actions import RANGE_NAMES
from trainer.data.shares import shares_of
from trainer.data.trajectories.recorded_motion import RecordedMotion

if TYPE_CHECKING:
    from trainer.data.demonstrations.episode import ActionLabel


@dataclass(frozen=True)
class JoinedDatasets:
    """Datasets in a fixed order, each with its share of the windows that are drawn.

    They may be finished or growing, on a disk, in an object store or of a service, of any number of rows, generated or
    recorded.

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
        if not all(_same_arm(self.sources[0], source) for source in self.sources):
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

    @property
    def joint_limits(self) -> dict[str, list[float]] | None:
        """Limits of the first dataset's arm, as its header has them; None where it is recorded."""
        limits: dict[str, list[float]] = self.header.robot.to_json()["limits"]
        return None if isinstance(self.sources[0], RecordedMotion) else limits

    @property
    def action_label(self) -> "ActionLabel":
        """The first dataset's label; generated trajectories are followed exactly."""
        first = self.sources[0]
        return first.demonstrations.action_label if isinstance(first, RecordedMotion) else "command"

    @property
    def recorded(self) -> list[RecordedMotion]:
        """The datasets that are the motion of demonstrations."""
        return [source for source in self.sources if isinstance(source, RecordedMotion)]

    def normalizer(self, action: ActionName, given: ActionRange | None) -> ActionNormalizer:
        """A normalizer by their ranges, or by `given` ones of the same name; what was recorded always lies inside.

        Raises ConfigError where one is missing, makes no sense, or is of another number of joints than were recorded.
        """
        ranges = ActionNormalizer({**self.action_range, **(given or {})}, action).to_json()
        for motion in self.recorded:
            for name in ranges.keys() & motion.header.action_range.keys():
                entry, own = ranges[name], motion.header.action_range[name]
                if len(entry["min"]) != len(own["min"]):
                    raise ConfigError(
                        f"action_range '{name}' is of {len(entry['min'])} joints, the demonstrations of "
                        f"{motion.demonstrations.task} have {len(own['min'])}"
                    )
                low, high = np.minimum(entry["min"], own["min"]), np.maximum(entry["max"], own["max"])
                ranges[name] = {"min": low.tolist(), "max": high.tolist()}
        return ActionNormalizer(ranges, action)

    def holding_relative(self, normalizer: ActionNormalizer, head: HeadConfig) -> ActionNormalizer:
        """One whose range of relative actions is widened to hold what was recorded.

        Raises ConfigError where it has none, or one of another number of joints.
        """
        normalizer.of_relative()
        ranges, name = normalizer.to_json(), RANGE_NAMES[head.action]
        for motion in self.recorded:
            low, high = np.array(ranges[name]["min"]), np.array(ranges[name]["max"])
            seen = motion.relative_extremes(head)[:, : len(low)]
            ranges[name] = {
                "min": np.minimum(low, seen.min(0)).tolist(),
                "max": np.maximum(high, seen.max(0)).tolist(),
            }
        return ActionNormalizer(ranges, head.action)

    def to_json(self) -> dict[str, Any]:
        """What a run's config.json says of its data."""
        said = [_said(source) for source in self.sources]
        if self.shares_by_id is None:
            return said[0]
        return {"datasets": [{**one, "share": share} for one, share in zip(said, self.shares, strict=True)]}

    def check(self, config: PretrainConfig) -> None:
        """Raises ConfigError where one can't be trained on, or two not together, saying what differs.

        All need one rate. Poses may be of several arms, each in its own base frame, but not of two tool frames of one
        arm. Joints need one arm, whether they are the actions or the condition.
        """
        for motion in self.recorded:
            motion.check(config)
        first = self.header
        joints = "joint_position" in (config.head.action, config.condition)
        for source in self.sources[1:]:
            other = source.header
            a, b = f"dataset {first.dataset_id[:12]}", f"dataset {other.dataset_id[:12]}"
            if other.rate_hz != first.rate_hz:
                raise ConfigError(
                    f"{a} is at {first.rate_hz:g} Hz, {b} at {other.rate_hz:g} Hz; datasets that are joined need one "
                    "rate: generate one of them again"
                )
            if joints and not _same_arm(self.sources[0], source):
                raise ConfigError(
                    f"{a} is of robot '{first.robot.name}', {b} of '{other.robot.name}': their joints are not the "
                    "same. Poses of several arms can be joined: --action ee_pose with --condition endpoints, ee_pose "
                    "or none"
                )
            # What is recorded is in our frames by its mapping.
            generated = not isinstance(self.sources[0], RecordedMotion) and not isinstance(source, RecordedMotion)
            if generated and other.robot.name == first.robot.name and _frames(other) != _frames(first):
                raise ConfigError(
                    f"the poses of {a} are of {' in '.join(_frames(first))}, those of {b} of "
                    f"{' in '.join(_frames(other))}; generate one of them again"
                )


def _same_arm(a: ShardSource, b: ShardSource) -> bool:
    """Whether joints of both mean the same, as far as is known: those of demonstrations have no names."""
    one, other = a.header.robot, b.header.robot
    unnamed = isinstance(a, RecordedMotion) or isinstance(b, RecordedMotion)
    return one.name == other.name and (one.dof == other.dof if unnamed else one.joint_names == other.joint_names)


def _said(source: ShardSource) -> dict[str, Any]:
    """What a run's config.json says of one of them."""
    said = {"dataset_id": source.header.dataset_id}
    return said | {"recorded": source.to_json()} if isinstance(source, RecordedMotion) else said


def _frames(header: DatasetHeader) -> tuple[str, str]:
    return f"'{header.robot.tool_frame}'", f"'{header.robot.base_frame}'"
