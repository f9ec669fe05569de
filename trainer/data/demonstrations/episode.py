"""Demonstrations as a policy is trained on them, whoever recorded them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from shared.demonstrated_motions import MovedObject
from shared.errors import DemonstrationError
from shared.philox import philox_uint64
from trainer.config import ActionName

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ActionLabel = Literal["command", "reached"]

# An id that no trajectory has.
_DRAW_STREAM = np.array([2**62 + 2**60], np.int64)


def is_validation(place: int) -> bool:
    """Whether one is held out, by its place among those that are used.

    It is every tenth from the fifth on, so that five are enough to have one.
    """
    return place % 10 == 4


class _HeldOutOrNot(Protocol):
    """A dataclass that says whether it is held out."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def validation(self) -> bool: ...


_One = TypeVar("_One", bound=_HeldOutOrNot)


def chosen(demonstrations: Sequence[_One], count: int | None, draw: int | None) -> list[_One]:
    """The demonstrations that are used: the first `count`, or those that a seed draws, in their order.

    All that a seed draws are trained on, whatever was held out of all; held out are others, as many more as it draws
    next. Where there are no others it is every tenth of those drawn (`is_validation`).

    Args:
        demonstrations: all there are.
        count: how many; None for all.
        draw: the seed; None takes the first.
    """
    if count is None or draw is None:
        return list(demonstrations[:count])
    keys = philox_uint64(draw, _DRAW_STREAM, 0, len(demonstrations))[0]
    order = np.argsort(keys, kind="stable")
    if len(order) == count:
        return [replace(one, validation=is_validation(index)) for index, one in enumerate(demonstrations)]
    places, drawn = np.sort(order[: 2 * count]).tolist(), set(order[:count].tolist())
    return [replace(demonstrations[place], validation=place not in drawn) for place in places]


@dataclass(frozen=True, eq=False)
class Images:
    """What a camera saw in an episode of T control steps. Nothing is read before it is asked for.

    Attributes:
        frames: (n, height, width, 3) uint8 RGB, memory-mapped where they come from a file.
        rows: (T,) the frame of each step.
        key: names the content of `frames`; what is computed from them can be kept under it.
    """

    frames: NDArray[np.uint8]
    rows: IntArray
    key: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.frames.shape[1]), int(self.frames.shape[2])

    def at(self, steps: IntArray) -> NDArray[np.uint8]:
        """(n, height, width, 3) of n steps."""
        return self.frames[self.rows[steps]]


@dataclass(frozen=True, eq=False)
class Episode:
    """A demonstration, T control steps.

    Attributes:
        name: its name in the file.
        observations: each key's values before each action, (T, width) float32.
        actions: (T, 10) `ee_pose` or (T, dof + 1) `joint_position`, float32.
        validation: whether it is held out.
        images: each camera's pictures before each action.
        success: whether the attempt succeeded.
        seed: of our simulator's environment; -1 where it was not made there.
        tool: observed pose of the tool centre point before each action, position 3 [m] and rotation_6d 6, (T, 9); None
            where none was recorded.
        joints: likewise observed joint positions, (T, dof) [rad or m].
        counterpart: the motion in the other action space at the step of each action, observed where it was not
            commanded: joint positions (T, dof) [rad or m] where actions are poses, poses (T, 9) where they are joints;
            None where they were not recorded.
        objects: observed poses of the task's objects before each action, those that were recorded, (T, 9) each.
        initial_state: (1+nq+nv,) that simulator's time, generalized positions and velocities at its start; else empty.
        set_number: which of `Demonstrations.sets` it is of, from 0.
    """

    name: str
    observations: dict[str, NDArray[np.float32]]
    actions: NDArray[np.float32]
    validation: bool
    images: Mapping[str, Images] = field(default_factory=dict)
    success: bool = True
    seed: int = -1
    tool: NDArray[np.float32] | None = None
    joints: NDArray[np.float32] | None = None
    counterpart: NDArray[np.float32] | None = None
    objects: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    initial_state: FloatArray = field(default_factory=lambda: np.zeros(0))
    set_number: int = 0


@dataclass(frozen=True)
class DemonstrationSet:
    """One of several sets of demonstrations that are trained on together.

    Attributes:
        path: where it was read.
        task: its name.
        share: of the windows that are drawn.
    """

    path: str
    task: str
    share: float


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """Episodes by one robot, all with the same observation; of one task, unless several sets were joined.

    Attributes:
        task: its name.
        robot: its name, as in the catalogue.
        rate_hz: control rate.
        observation_widths: each low-dimensional key with its width, in the order in which they are joined.
        episodes: those that succeeded.
        failed: attempts that did not; kept to be counted, never trained on.
        action_space: what an action is.
        action_label: what the action at t is: `command`, the one commanded at t, or `reached`, the pose reached later.
        cameras: height and width of each camera's pictures.
        objects: what the task is about, where poses of it were recorded.
        drawn: how many of the episodes a seed drew, the rest being held out (`chosen`); None where none did.
        sets: where they come from several (`joined.py`), each of these; their episodes follow one another in this
            order. Empty where there is one alone.
    """

    task: str
    robot: str
    rate_hz: float
    observation_widths: dict[str, int]
    episodes: tuple[Episode, ...]
    failed: tuple[Episode, ...] = ()
    action_space: ActionName = "ee_pose"
    action_label: ActionLabel = "command"
    cameras: dict[str, tuple[int, int]] = field(default_factory=dict)
    objects: tuple[MovedObject, ...] = ()
    drawn: int | None = None
    sets: tuple[DemonstrationSet, ...] = ()

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of the windows that is drawn from each set; of one alone, all."""
        return tuple(one.share for one in self.sets) or (1.0,)

    @property
    def number(self) -> int:
        """How many demonstrations a policy is said to learn from; others that only measure it are not counted."""
        return len(self.episodes) if self.drawn is None else self.drawn

    @property
    def attempts(self) -> int:
        """How many attempts were made for these."""
        return len(self.episodes) + len(self.failed)


def joined_observations(demonstrations: Demonstrations, episode: Episode) -> NDArray[np.float32]:
    """An episode's low-dimensional observations (T, obs_dim), its keys joined in their order."""
    parts = [episode.observations[key] for key in demonstrations.observation_widths]
    return np.concatenate(parts, axis=-1) if parts else np.zeros((len(episode.actions), 0), np.float32)


def moving(demonstrations: Demonstrations, path: Path | str) -> tuple[Demonstrations, str | None]:
    """The demonstrations without those of a single step, which show no motion, and what was left out, in words.

    Raises DemonstrationError where none is left.
    """
    still = [episode.name for episode in demonstrations.episodes if len(episode.actions) < 2]
    if not still:
        return demonstrations, None
    if len(still) == len(demonstrations.episodes):
        raise DemonstrationError(f"{still[0]} has 1 step; a motion has 2 at least, and no other is used", path)
    kept = tuple(episode for episode in demonstrations.episodes if len(episode.actions) > 1)
    more = f" and {len(still) - 1} more" if len(still) > 1 else ""
    return replace(demonstrations, episodes=kept), f"left out: {still[0]}{more}, of 1 step; a motion has 2 at least"
