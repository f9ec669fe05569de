"""The motion of demonstrations as a dataset: what Stage 1 can be trained on instead of generated trajectories."""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from headstart_client.data.commits import Commits, DatasetState
from headstart_client.data.index_set import IndexSet
from shared.errors import ConfigError, TrainingError
from shared.manifest import Commit, DatasetHeader
from shared.records import COLUMNS
from shared.robots import JointLimits, RobotSpec
from trainer.config import HeadConfig, PretrainConfig
from trainer.data.action import GRIPPER, POSITION, ROTATION, FloatArray, range_of
from trainer.data.normalization import ActionNormalizer
from trainer.data.relative_actions import window_extremes

if TYPE_CHECKING:
    # Their readers take half a second to import, which training on generated trajectories does not need.
    from trainer.data.demonstrations.episode import Demonstrations, Episode

_SHARD_ROWS = 4096
_POSE = 9
"""Numbers of a pose: position 3, rotation_6d 6."""
_ARRAYS = {column.name: column for column in COLUMNS if column.is_list}


class RecordedMotion:
    """A ShardSource: a finished dataset whose row i is what demonstration i commanded, without what was seen.

    Windows of it are therefore cut, ordered and conditioned as those of generated trajectories are, and what holds for
    these (resume, several datasets, shares) holds for it. Of the space that is not commanded, a row has what was
    observed at the step of each action; where that was not recorded, `check` refuses what would be trained on it.

    Attributes:
        demonstrations: whose motion it is.
        header: of the dataset. Its id is a hash of the numbers. Of its robot, only the name and the number of joints
            mean something; demonstrations tell no more of an arm.
        held_out: rows that are not trained on: the demonstrations that Stage 2 holds out, too.
    """

    def __init__(self, demonstrations: "Demonstrations") -> None:
        """Raises TrainingError where every demonstration is held out."""
        self.demonstrations, self._episodes = demonstrations, demonstrations.episodes
        self.held_out = frozenset(place for place, episode in enumerate(self._episodes) if episode.validation)
        if len(self.held_out) == len(self._episodes):
            raise TrainingError("every demonstration is held out; collect more of them")
        self._space = demonstrations.action_space
        self._has_counterpart = all(episode.counterpart is not None for episode in self._episodes)
        poses, joints = (np.concatenate([self._motion(one)[part] for one in self._episodes]) for part in (0, 1))
        ranges = {}
        if self._has_counterpart or self._space == "ee_pose":
            ranges["position"] = range_of(poses[:, POSITION])
        if self._has_counterpart or self._space == "joint_position":
            ranges["joint_position"] = range_of(joints)
        self.header = DatasetHeader(
            dataset_id=self._sha256(),
            request={},
            generator_version=0,
            robot=_robot(demonstrations.robot, joints.shape[1]),
            count=len(self._episodes),
            shard_rows=_SHARD_ROWS,
            rate_hz=demonstrations.rate_hz,
            optional_columns=(),
            action_range=ranges,
            versions={},
        )

    def state(self) -> DatasetState:
        """Sealed, with all its shards."""
        return DatasetState("sealed", commits=Commits(IndexSet([(0, self.header.shards)]), self._commits))

    def read_shard(self, commit: Commit, columns: list[str] | None = None) -> pa.Table:
        """Its rows, in those of the columns that Stage 1 sees."""
        first = commit.index * _SHARD_ROWS
        some = self._episodes[first : first + commit.rows]
        motions = [self._motion(episode) for episode in some]
        arrays = {
            "joint_position": [joints for _, joints in motions],
            "ee_position": [poses[:, POSITION] for poses, _ in motions],
            "ee_rotation_6d": [poses[:, ROTATION] for poses, _ in motions],
            "gripper": [episode.actions[:, GRIPPER] for episode in some],
        }
        table = {"trajectory_id": pa.array(np.arange(first, first + len(some), dtype=np.int64))}
        table |= {name: _lists(name, values) for name, values in arrays.items()}
        return pa.table({name: table[name] for name in columns or table})

    def motions(self, sha256: str) -> None:
        """None: its rows are copies of nothing."""

    def check(self, config: PretrainConfig) -> None:
        """Raises ConfigError where the head's actions or the condition are not in the demonstrations."""
        task, space, head, condition = self.demonstrations.task, self._space, config.head, config.condition
        if space != head.action:
            raise ConfigError(
                f"the actions of {task} are '{space}', the head's '{head.action}'; pass --action {space}, or map them "
                f"as {head.action}"
            )
        others = f"--condition {space}, endpoints or none"
        if condition == "objects":
            raise ConfigError(
                f"condition 'objects' is of copies of demonstrations (docs/copies.md), and {task} is of the "
                f"demonstrations themselves; pass {others}"
            )
        if condition in ("ee_pose", "joint_position") and condition != space and not self._has_counterpart:
            columns = "state.joint_position" if condition == "joint_position" else "state.position and state.rotation"
            raise ConfigError(
                f"condition '{condition}' is not recorded in {task}, whose actions are '{space}'; say with {columns} "
                f"in the mapping where it was observed, or pass {others}"
            )

    def relative_extremes(self, head: HeadConfig) -> FloatArray:
        """The least and the greatest of each episode's actions relative to their windows' states, (n, action_dim)."""
        return np.concatenate([window_extremes(episode.actions, head) for episode in self._episodes])

    def check_inside(self, normalizer: ActionNormalizer, head: HeadConfig) -> None:
        """Raises ConfigError where actions leave the range, with the dimension and the numbers."""
        absolute = [episode.actions for episode in self._episodes]
        actions = self.relative_extremes(head) if normalizer.relative else np.concatenate(absolute)
        if bad := normalizer.outside(actions):
            raise ConfigError(
                f"the demonstrations of {self.demonstrations.task} leave the action range that this run goes on with: "
                f"{'; '.join(bad)}. Leave --init-from out, or these demonstrations"
            )

    def to_json(self) -> dict[str, Any]:
        """What a run's config.json says of it beside its id."""
        shown = self.demonstrations
        return {
            "task": shown.task,
            "robot": shown.robot,
            "rate_hz": shown.rate_hz,
            "action_label": shown.action_label,
            "demonstrations": len(self._episodes),
            "held_out": len(self.held_out),
        }

    def _motion(self, episode: "Episode") -> tuple[FloatArray, FloatArray]:
        """Poses (T, 9) and joint positions (T, dof); of what was not recorded, zeros and no joints."""
        commanded, other = episode.actions[:, :GRIPPER], episode.counterpart if self._has_counterpart else None
        if self._space == "ee_pose":
            return commanded, commanded[:, :0] if other is None else other
        return np.zeros((len(commanded), _POSE), np.float32) if other is None else other, commanded

    def _commits(self, indices: Sequence[int]) -> list[Commit]:
        return [self._commit(index) for index in indices]

    def _commit(self, index: int) -> Commit:
        return Commit(index, self.header.rows_in(index), 0, 0, "", "", "", 0, {})

    def _sha256(self) -> str:
        """The hash of everything that training depends on."""
        shown = self.demonstrations
        said = [shown.robot, shown.rate_hz, self._space, shown.action_label, sorted(self.held_out)]
        digest = hashlib.sha256(json.dumps(said).encode())
        for episode in self._episodes:
            for values in (episode.actions, *self._motion(episode)):
                digest.update(np.array(values.shape, "<i8").tobytes())
                digest.update(np.ascontiguousarray(values, "<f4").tobytes())
        return digest.hexdigest()


def _robot(name: str, dof: int) -> RobotSpec:
    """What demonstrations tell of an arm; limits that stand for none, since a header must have some."""
    limits = JointLimits(-np.ones(dof), *np.ones((4, dof)))
    return RobotSpec(name, tuple(f"joint {index + 1}" for index in range(dof)), limits, "base", "tool")


def _lists(name: str, values: Sequence[FloatArray]) -> pa.Array:
    """A list column of the record."""
    offsets = np.cumsum([0, *(one.size for one in values)]).astype(np.int32)
    items = pa.array(np.concatenate([one.reshape(-1) for one in values]).astype(np.float32, copy=False))
    return pa.ListArray.from_arrays(pa.array(offsets), items, type=_ARRAYS[name].field().type)
