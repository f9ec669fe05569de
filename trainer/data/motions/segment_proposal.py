"""Segments proposed for demonstrations: which steps are motion relative to an object, and which are free.

Around each event of the gripper lies a skill segment: from when the hand comes near to when it leaves again. It is
relative to what the hand takes, or, where it leaves something, to what it leaves it on or beside; if nothing that is
known is there, to the robot's base, as a place that never moves. What is still held at the end and has been brought to
another object is as good as left there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shared.demonstrated_motions import FIXED, FREE, Held, MovedObject, Segment
from shared.errors import DemonstrationError
from shared.rotation import matrix_to_rot6d, rot6d_to_matrix
from trainer.data.demonstrations.episode import Demonstrations, Episode
from trainer.data.motions.grasps import MOVED, GripperEvent, gripper_events, moved_otherwise

FloatArray = NDArray[np.float64]

NEAR = 0.06
"""How far [m] the tool is from where it takes or leaves something when a skill segment begins and ends."""
STRAIGHT, FARTHEST = 0.01, 0.30
"""Where something is left, the straight way there belongs to the skill: how far [m] beside the line the tool may be,
and how far [m] from its end."""
LEAST_BEFORE, LEAST_AFTER = 0.5, 0.3
"""How long [s] a skill segment lasts before and after its event, at least."""
STILL = 0.005
"""How far [m] the hand moves after it closed before the skill segment of taking something is over."""
BESIDE = 0.15
"""How far [m] from what is left another object may be for it to be left on or beside that one."""
ALIKE = 0.5
"""How much alike the yaws of hand and object must be over the demonstrations (length of the mean of their unit vectors,
1 if they are all the same) for a skill to depend on the object's yaw."""
FEWEST = 4
"""Demonstrations below which that can't be told; a skill then turns with its object."""


@dataclass(frozen=True)
class Proposal:
    """A proposal for one demonstration: its segments, what is held in it, and its objects' poses (T, 9) by name."""

    name: str
    segments: tuple[Segment, ...]
    held: tuple[Held, ...]
    objects: Mapping[str, NDArray[np.float32]]


def propose(demonstrations: Demonstrations, path: str) -> tuple[tuple[MovedObject, ...], list[Proposal]]:
    """Objects and a proposal for each demonstration.

    Where no object poses were recorded, the objects are the places at which the hand takes and leaves things: `taken_1`
    is where it closes first, and goes with it; `left_1` is where it opens after that.

    Raises:
        DemonstrationError: what can't be told, by the demonstration's name, and what to write instead.
    """
    episodes, objects = demonstrations.episodes, demonstrations.objects
    if not objects:
        objects, episodes = _by_gripper(episodes, path)
    names = [thing.name for thing in objects]
    drafts = [_draft(episode, names, demonstrations.rate_hz, path) for episode in episodes]
    with_hand = _turning_with_hand(episodes, objects, drafts)
    return objects, [
        Proposal(
            episode.name,
            tuple(replace(s, turns_with="hand") if place in with_hand else s for place, s in enumerate(segments)),
            held,
            episode.objects,
        )
        for episode, (segments, held) in zip(episodes, drafts, strict=True)
    ]


def _draft(
    episode: Episode, names: Sequence[str], rate_hz: float, path: str
) -> tuple[tuple[Segment, ...], tuple[Held, ...]]:
    """Segments, all of which turn with their object, and what is held."""
    events, steps = gripper_events(episode), len(episode.actions)
    held = _held(events, steps)
    events += _brought(episode, events)
    for name, step in moved_otherwise(episode, held).items():
        raise DemonstrationError(
            f"{episode.name}: '{name}' moves from step {step} on without the hand; write by hand which steps are "
            "relative to what (--segments), or leave the demonstration out",
            path,
        )
    skills = [_skill(episode, event, names, rate_hz, events[index + 1 :]) for index, event in enumerate(events)]
    skills = [skill for skill in skills if skill is not None]
    if not skills:
        raise DemonstrationError(
            f"{episode.name}: the gripper takes and leaves nothing, so no segment can be told to be relative to an "
            "object; write them by hand (--segments)",
            path,
        )
    return _laid_out([skill for skill in skills if skill is not None], steps), tuple(
        Held(names.index(name), first, end) for name, first, end in held
    )


def _held(events: Sequence[GripperEvent], steps: int) -> list[tuple[str, int, int]]:
    """Object, first step and end of each hold."""
    found = []
    for index, event in enumerate(events):
        if event.closes and event.thing is not None:
            end = events[index + 1].step if index + 1 < len(events) else steps
            found.append((event.thing, event.step, end))
    return found


def _skill(
    episode: Episode, event: GripperEvent, names: Sequence[str], rate_hz: float, later: Sequence[GripperEvent]
) -> tuple[int, int, int] | None:
    """First step, end, and what it is relative to, of the skill segment around an event; None where there is none."""
    if event.thing is None:
        return None
    steps, position = len(episode.actions), episode.actions[:, :3]
    away = np.linalg.norm(position - position[event.step], axis=1)
    before, after = round(LEAST_BEFORE * rate_hz), round(LEAST_AFTER * rate_hz)
    outside = np.flatnonzero(away[: event.step] > NEAR)
    begin = int(outside[-1]) + 1 if len(outside) else 0
    begin = min(begin if event.closes else _straight(position, begin, event.step), max(0, event.step - before))
    limit = STILL if event.closes else NEAR
    left = np.flatnonzero(away[event.step :] > limit)
    end = event.step + int(left[0]) if len(left) else steps
    end = max(min(steps, end), min(steps, event.step + after))
    if not event.closes and not later:
        end = steps
    if event.closes:
        return begin, end, names.index(event.thing)
    support = _support(episode, event)
    return begin, end, FIXED if support is None else names.index(support)


def _straight(position: NDArray[np.floating], begin: int, end: int) -> int:
    """First step of the straight way on which the tool goes from step `begin` to `end`, as long ago as it began."""
    way = position[begin] - position[end]
    length = float(np.linalg.norm(way))
    if length < STRAIGHT:
        return begin
    relative = position[:begin] - position[end]
    along = relative @ (way / length)
    beside = np.linalg.norm(relative - along[:, None] * (way / length), axis=1)
    off = np.flatnonzero((beside > STRAIGHT) | (along > FARTHEST))
    return int(off[-1]) + 1 if len(off) else 0


def _brought(episode: Episode, events: Sequence[GripperEvent]) -> list[GripperEvent]:
    """The end of the demonstration as an event, where a thing that is still held has been brought to another object."""
    last = events[-1] if events else None
    if last is None or not last.closes or last.thing is None:
        return []
    arrived = GripperEvent(len(episode.actions) - 1, False, last.thing)
    support = _support(episode, arrived)
    if support is None:
        return []
    apart = np.linalg.norm(episode.objects[support][:, :3] - episode.objects[last.thing][:, :3], axis=1)
    return [arrived] if apart[-1] < apart[last.step] - MOVED else []


def _support(episode: Episode, event: GripperEvent) -> str | None:
    """The object that something is left on or beside: the nearest; None where none is near."""
    assert event.thing is not None
    at = episode.objects[event.thing][event.step, :3]
    others = {
        name: float(np.linalg.norm(poses[event.step, :3] - at))
        for name, poses in episode.objects.items()
        if name != event.thing
    }
    nearest = min(others, key=lambda name: others[name], default=None)
    return nearest if nearest is not None and others[nearest] < BESIDE else None


def _laid_out(skills: Sequence[tuple[int, int, int]], steps: int) -> tuple[Segment, ...]:
    """Segments that cover all steps: the skills, free ones between them, and after the last skill what belongs to it.

    Skills that meet are parted by a free segment of at least two steps where they are relative to different things.
    """
    laid: list[Segment] = []
    at = 0
    for index, (begin, end, relative_to) in enumerate(skills):
        following = skills[index + 1] if index + 1 < len(skills) else None
        if following is not None:
            end = min(end, max(begin + 1, (end + following[0]) // 2 - 1)) if end > following[0] - 2 else end
        else:
            end = steps
        begin = max(begin, at + 2) if laid else begin
        if begin > at:
            laid.append(Segment(min(begin, steps - 1), FREE))
        laid.append(Segment(max(end, laid[-1].end + 1 if laid else 1), relative_to))
        at = laid[-1].end
    return tuple(laid)


def _turning_with_hand(
    episodes: Sequence[Episode],
    objects: Sequence[MovedObject],
    drafts: Sequence[tuple[tuple[Segment, ...], tuple[Held, ...]]],
) -> set[int]:
    """Places of the skill segments whose hand has any yaw to their object, which then does not matter.

    Told only of segments that all demonstrations have, and not of those in which their object is taken.
    """
    patterns = {tuple(segment.relative_to for segment in segments) for segments, _ in drafts}
    if len(patterns) != 1 or len(episodes) < FEWEST:
        return set()
    found = set()
    for place, relative_to in enumerate(next(iter(patterns))):
        if relative_to < 0:
            continue
        angles = []
        takes = False
        for episode, (segments, held) in zip(episodes, drafts, strict=True):
            begin, end = segments[place - 1].end if place else 0, segments[place].end
            takes |= any(one.index == relative_to and begin <= one.first < end for one in held)
            thing = objects[relative_to]
            angles.append(thing.yaw_symmetry * _yaw_between(episode, thing.name, begin))
        if not takes and abs(np.exp(1j * np.array(angles)).mean()) < ALIKE:
            found.add(place)
    return found


def _yaw_between(episode: Episode, thing: str, step: int) -> float:
    """Yaw [rad] of the tool less that of an object, both of their x axes."""
    tool, own = episode.actions[step, 3:9], episode.objects[thing][step, 3:]
    yaws = [np.arctan2(rotation[3], rotation[0]) for rotation in (tool, own)]
    return float(yaws[0] - yaws[1])


def _by_gripper(episodes: Sequence[Episode], path: str) -> tuple[tuple[MovedObject, ...], tuple[Episode, ...]]:
    """Objects that are places where the hand takes and leaves things, and episodes with their poses."""
    marked, counts = [], []
    for episode in episodes:
        closed = episode.actions[:, 9] > 0
        steps = (np.flatnonzero(np.diff(closed.astype(np.int8))) + 1).tolist()
        closes = [step for step in steps if closed[step]]
        pairs = [(step, next((after for after in steps if after > step), None)) for step in closes]
        if not pairs:
            raise DemonstrationError(
                f"{episode.name}: has neither poses of objects nor a gripper that closes, so nothing tells what its "
                "motion is relative to; name the objects' columns in the mapping (objects)",
                path,
            )
        counts.append(tuple(opens is not None for _, opens in pairs))
        marked.append(replace(episode, objects=_places(episode, pairs)))
    if len(set(counts)) > 1:
        raise DemonstrationError(
            "has no poses of objects, and its demonstrations take and leave things different numbers of times; name "
            "the objects' columns in the mapping (objects), or leave some of them out",
            path,
        )
    return tuple(MovedObject(name) for name in marked[0].objects), tuple(marked)


def _places(episode: Episode, pairs: Sequence[tuple[int, int | None]]) -> dict[str, NDArray[np.float32]]:
    """Poses (T, 9) of what is taken, which goes with the tool's command, and of where it is left, which stays."""
    tool, found = episode.actions[:, :9], {}
    # An object's z axis is vertical, so that it turns about it.
    upright = np.array([_upright(pose) for pose in tool], np.float32)
    for index, (taken, left) in enumerate(pairs, 1):
        goes = np.arange(len(tool)).clip(taken, len(tool) - 1 if left is None else left)
        found[f"taken_{index}"] = upright[goes]
        if left is not None:
            found[f"left_{index}"] = np.broadcast_to(upright[left], upright.shape).copy()
    return found


def _upright(pose: NDArray[np.float32]) -> NDArray[np.float32]:
    """A tool's pose (9,) with its z axis turned up, and its x axis where that points in the plane."""
    rotation = rot6d_to_matrix(pose[3:9].astype(np.float64))
    yaw = np.arctan2(rotation[1, 0], rotation[0, 0])
    cosine, sine = np.cos(yaw), np.sin(yaw)
    turned = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return np.concatenate([pose[:3], matrix_to_rot6d(turned)]).astype(np.float32)
