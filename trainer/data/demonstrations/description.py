"""What a data set holds, and what its demonstrations are by a mapping, for people."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.data.action import GRIPPER, POSITION
from trainer.data.demonstrations.checks.faults import ColumnFault
from trainer.data.demonstrations.checks.finite import require_finite
from trainer.data.demonstrations.checks.timestamps import RATE_TOLERANCE
from trainer.data.demonstrations.episode import Demonstrations
from trainer.data.demonstrations.mapping.mapping import Mapping
from trainer.data.demonstrations.mapping.motion import RawEpisode
from trainer.data.demonstrations.source import Source

_EPISODES = 20
_MOST_NAMES = 10


def describe_source(source: Source) -> list[str]:
    """What is in a data set, with the range of each component in its first episodes: what a mapping is written from.

    Raises DemonstrationError where it is damaged.
    """
    contents = source.contents
    rate = f"{contents.rate_hz:g} Hz" if contents.rate_hz else "rate not said"
    lines = [
        f"{contents.format}: {contents.episodes} episodes, {rate}, robot {contents.robot or 'not said'}",
        f"tasks: {', '.join(contents.tasks[:_MOST_NAMES]) or 'not said'}{' ...' * (len(contents.tasks) > _MOST_NAMES)}",
    ]
    if contents.masks:
        lines.append(f"masks: {', '.join(contents.masks)}")
    shown = min(_EPISODES, contents.episodes)
    looks = [source.look(index, list(contents.columns)) for index in range(shown)]
    lines += _times_line([episode for episode, _ in looks], contents.rate_hz)
    reasons: dict[str, str] = {}
    lines.append(f"columns, with the range of each component in {shown} episodes:")
    for name in contents.columns:
        if (reason := _reason(name, looks)) is not None:
            reasons[name] = reason
            continue
        values = np.concatenate([episode.columns[name] for episode, _ in looks])
        lines.append(f"  {name} [{values.shape[1]}]")
        lines.append(f"    {', '.join(_ranges(values, contents.components.get(name, ())))}")
    reasons |= contents.others
    if reasons:
        lines.append("not columns that a mapping can name:")
        lines += [f"  {name}: {reason}" for name, reason in reasons.items()]
    lines += [f"camera {name}: {height} x {width}" for name, (height, width) in contents.cameras.items()]
    return [*lines, *(f"note: {note}" for note in contents.notes)]


def _reason(name: str, looks: Sequence[tuple[RawEpisode, dict[str, ColumnFault]]]) -> str | None:
    """Why a column can't be used as it is in these episodes; None where it can."""
    faults = [(episode.name, found[name]) for episode, found in looks if name in found]
    if faults:
        kinds = Counter(fault.kind for _, fault in faults)
        counts = ", ".join(f"{kind} in {count} of {len(looks)} episodes" for kind, count in kinds.items())
        where, first = faults[0]
        return f"{counts}, first in {where}: {first}"
    widths = {episode.columns[name].shape[1]: episode.name for episode, _ in reversed(looks)}
    if len(widths) > 1:
        return "not of one width: " + ", ".join(f"{width} in {where}" for width, where in sorted(widths.items()))
    return None


def _times_line(episodes: Sequence[RawEpisode], rate_hz: float | None) -> list[str]:
    """What the episodes' timestamps say of the rate, where they are not what the data set says."""
    steps = [np.diff(episode.times) for episode in episodes if episode.times is not None]
    step = float(np.median(np.concatenate(steps))) if any(map(len, steps)) else np.nan
    if not step > 0 or rate_hz is None or abs(step * rate_hz - 1) < RATE_TOLERANCE:
        return []
    return [f"timestamps: {step:g} s from step to step, which is {1 / step:.3g} Hz, and not {rate_hz:g} Hz"]


def _ranges(values: NDArray[np.float64], names: Sequence[str]) -> Iterator[str]:
    """Index, name if it has one, and range of each component of (n, width) values."""
    for index, (low, high) in enumerate(zip(values.min(0), values.max(0), strict=True)):
        name = f" {names[index]}" if index < len(names) else ""
        yield f"[{index}]{name} {low:.3g} to {high:.3g}"


def describe_demonstrations(demonstrations: Demonstrations, mapping: Mapping | None) -> list[str]:
    """What demonstrations are that have been read and checked."""
    episodes = demonstrations.episodes
    actions = np.concatenate([episode.actions for episode in episodes])
    require_finite(actions, "actions")
    held_out = sum(episode.validation for episode in episodes)
    seconds = len(actions) / demonstrations.rate_hz
    lines = [
        f"{len(episodes)} demonstrations of '{demonstrations.task}' by {demonstrations.robot} at "
        f"{demonstrations.rate_hz:g} Hz, {seconds:.0f} s, {held_out} held out",
        f"actions: {demonstrations.action_space}, {demonstrations.action_label}",
    ]
    if demonstrations.action_space == "ee_pose":
        values, unit = actions[:, POSITION], "m"
        names = tuple("xyz")
        steps = np.concatenate([np.diff(episode.actions[:, POSITION], axis=0) for episode in episodes])
        speed = np.linalg.norm(steps, axis=1) * demonstrations.rate_hz
    else:
        values, unit = actions[:, :GRIPPER], "rad"
        names = tuple(f"joint {index + 1}" for index in range(values.shape[1]))
        steps = np.concatenate([np.diff(episode.actions[:, :GRIPPER], axis=0) for episode in episodes])
        speed = np.abs(steps).max(axis=1, initial=0.0) * demonstrations.rate_hz
    for name, low, high in zip(names, values.min(0), values.max(0), strict=True):
        lines.append(f"  {name} {low:.3f} to {high:.3f} {unit}")
    if len(speed):
        lines.append(f"  speed at most {speed.max():.2f} {unit}/s, half of it under {np.median(speed):.2f} {unit}/s")
    closes = sum(bool((np.diff(np.sign(episode.actions[:, GRIPPER])) > 0).any()) for episode in episodes)
    lines.append(f"  the gripper closes in {closes} of {len(episodes)}")
    lines.append(f"  as Stage 1's motion (pretrain --demos): --condition {_conditions(demonstrations)}")
    widths = ", ".join(f"{key} [{width}]" for key, width in demonstrations.observation_widths.items())
    lines.append(f"observed: {widths or 'no numbers'}")
    lines += [f"  camera {name}: {size[0]} x {size[1]}" for name, size in demonstrations.cameras.items()]
    accepted = f", but for {', '.join(mapping.accept)}" if mapping is not None and mapping.accept else ""
    return [*lines, f"checked: every assumption of the mapping holds{accepted}"]


def _conditions(demonstrations: Demonstrations) -> str:
    """What Stage 1 can see of them."""
    space = demonstrations.action_space
    other = "joint_position" if space == "ee_pose" else "ee_pose"
    known = all(episode.counterpart is not None for episode in demonstrations.episodes)
    return f"{space}{f', {other}' * known}, endpoints or none"
