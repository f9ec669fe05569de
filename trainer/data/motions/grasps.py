"""What the hand takes and where it leaves it, told from the gripper's commands and the poses of tool and objects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data.action import GRIPPER
from trainer.data.demonstrations.episode import Episode

FloatArray = NDArray[np.float64]

MOVED = 0.01
"""How far [m] an object must move to have been moved."""
WITHIN_REACH = 0.15
"""How far [m] the tool's commanded point may be from what the gripper closes on."""


@dataclass(frozen=True)
class GripperEvent:
    """A change of the gripper's command.

    Attributes:
        step: the first step with the new command.
        closes: whether it closes.
        thing: name of what it takes or leaves; None where it takes nothing that is known.
    """

    step: int
    closes: bool
    thing: str | None


def gripper_events(episode: Episode) -> list[GripperEvent]:
    """The gripper's events in order; what one closes on is what moves with the hand until it opens again."""
    closed = episode.actions[:, GRIPPER] > 0
    steps = np.flatnonzero(np.diff(closed.astype(np.int8))) + 1
    events: list[GripperEvent] = []
    for index, step in enumerate(steps.tolist()):
        until = int(steps[index + 1]) if index + 1 < len(steps) else len(closed)
        if closed[step]:
            events.append(GripperEvent(step, True, taken(episode, step, until)))
        else:
            held = events[-1].thing if events else None
            events.append(GripperEvent(step, False, held))
    return events


def taken(episode: Episode, step: int, until: int) -> str | None:
    """Name of the object that moves with the hand from `step` to `until`; None where none does.

    Of several, as where one lies on the other, it is the one nearest to the tool.
    """
    tool = episode.actions[step, :3]
    found = {}
    for name, poses in episode.objects.items():
        shift = np.linalg.norm(poses[step:until, :3] - poses[step, :3], axis=1).max(initial=0.0)
        near = float(np.linalg.norm(poses[step, :3] - tool))
        if shift > MOVED and near < WITHIN_REACH:
            found[name] = near
    return min(found, key=lambda name: found[name]) if found else None


def moved_otherwise(episode: Episode, held: Sequence[tuple[str, int, int]]) -> dict[str, int]:
    """Objects that move while the hand does not hold them, and the first step at which each has moved.

    What is pushed by a held object, or settles where it was let go, moves less than MOVED or beside the hand: those
    within reach of the tool are left out.
    """
    found = {}
    for name, poses in episode.objects.items():
        free = np.ones(len(poses), np.bool_)
        for thing, first, end in held:
            if thing == name:
                free[first:end] = False
        speed = np.linalg.norm(np.diff(poses[:, :3], axis=0, prepend=poses[:1, :3]), axis=1)
        far = np.linalg.norm(poses[:, :3] - episode.actions[:, :3], axis=1) > WITHIN_REACH
        travelled = np.cumsum(np.where(free & far, speed, 0.0))
        if travelled[-1] > MOVED:
            found[name] = int(np.argmax(travelled > MOVED))
    return found
