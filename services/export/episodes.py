"""What an export holds: each row as an episode of time steps, each with a state and an action."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared import records
from shared.follow import ShardSource
from shared.manifest import Commit, DatasetHeader

Floats = NDArray[np.float32]
ActionName = Literal["ee_pose", "joint_position"]
ActionLabel = Literal["reached", "command"]
ACTIONS: tuple[ActionName, ...] = get_args(ActionName)
ACTION_LABELS: tuple[ActionLabel, ...] = get_args(ActionLabel)

_COLUMNS = ("joint_position", "joint_velocity", "ee_position", "ee_rotation_6d", "gripper")
_ROWS_AT_ONCE = 256
"""Episodes in memory besides their shard."""


@dataclass(frozen=True)
class Content:
    """What a step holds.

    Attributes:
        header: of the dataset that is exported.
        action: `ee_pose` (position 3, rotation_6d 6, gripper 1) or `joint_position` (dof, gripper 1).
        label: `reached`, the value at the next step (at the last step, that step's own), or `command`, the value at
            the same step.
    """

    header: DatasetHeader
    action: ActionName = "ee_pose"
    label: ActionLabel = "reached"

    @property
    def state_names(self) -> list[str]:
        """Names of the numbers of a state: joint positions [rad or m] and the gripper."""
        return [*self.header.robot.joint_names, "gripper"]

    @property
    def action_names(self) -> list[str]:
        """Names of the numbers of an action, positions in m."""
        if self.action == "joint_position":
            return self.state_names
        return ["x", "y", "z", *(f"rotation_6d_{i}" for i in range(6)), "gripper"]

    def to_json(self) -> dict[str, object]:
        """Where the data comes from and how its numbers are meant, to be kept with an export."""
        header = self.header
        return {
            "dataset_id": header.dataset_id,
            "request": header.request,
            "generator_version": header.generator_version,
            "robot": header.robot.to_json(),
            "rate_hz": header.rate_hz,
            "action_range": header.action_range,
            "state": {"names": self.state_names},
            "action": {"kind": self.action, "label": self.label, "names": self.action_names},
            "rotation_6d": "first two rows of the rotation matrix, of the tool in the base frame",
            "gripper": "+1 close, -1 open",
        }


@dataclass(frozen=True, eq=False)
class Episodes:
    """Some rows in order, their N steps one after another.

    Attributes:
        first: index of the first one among all that are exported.
        ids: trajectory ids, (n,).
        lengths: steps of each, (n,).
        families: of each, (n,).
        columns: values of each list column, (N, width).
    """

    first: int
    ids: NDArray[np.int64]
    lengths: NDArray[np.int64]
    families: list[str]
    columns: dict[str, Floats]

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """One past the last step of each, (n,)."""
        return np.cumsum(self.lengths)

    @property
    def indices(self) -> NDArray[np.int64]:
        """Index of each among all that are exported, (n,)."""
        return np.arange(self.first, self.first + len(self.ids))

    def per_step(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) values, one for each episode, repeated for each of its steps: (N,)."""
        return np.repeat(values, self.lengths)

    def step_in_episode(self) -> NDArray[np.int64]:
        """0 to T - 1 in each episode, (N,)."""
        return np.arange(self.ends[-1]) - self.per_step(self.ends - self.lengths)

    def state(self) -> Floats:
        """Joint positions and gripper at each step, (N, dof + 1)."""
        return np.concatenate([self.columns["joint_position"], self.columns["gripper"]], axis=1)

    def actions(self, content: Content) -> Floats:
        """The action at each step, (N, width)."""
        names = ("joint_position",) if content.action == "joint_position" else ("ee_position", "ee_rotation_6d")
        values = np.concatenate([self.columns[name] for name in (*names, "gripper")], axis=1)
        if content.label == "command":
            return values
        following = np.arange(1, len(values) + 1)
        following[self.ends - 1] = self.ends - 1
        return np.asarray(values[following])


def read_episodes(source: ShardSource, commits: Iterable[Commit]) -> Iterator[Episodes]:
    """The rows of these shards, some hundreds at a time.

    Raises:
        CorruptShardError: a shard is not what was committed.
    """
    scalars, first = ["trajectory_id", "length", "family"], 0
    for commit in commits:
        shard = source.read_shard(commit, columns=[*scalars, *_COLUMNS])
        for begin in range(0, shard.num_rows, _ROWS_AT_ONCE):
            episodes = _episodes(shard.slice(begin, _ROWS_AT_ONCE), first)
            yield episodes
            first += len(episodes.ids)


def _episodes(rows: pa.Table, first: int) -> Episodes:
    lengths = rows.column("length").to_numpy().astype(np.int64)
    steps = int(lengths.sum())
    return Episodes(
        first=first,
        ids=rows.column("trajectory_id").to_numpy(),
        lengths=lengths,
        families=rows.column("family").to_pylist(),
        columns={name: records.list_column(rows, name)[0].reshape(steps, -1) for name in _COLUMNS},
    )
