"""What people are told of recorded motion."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.data.demonstrations.checks.track import Track
from trainer.data.demonstrations.motion_report.drift import (
    LEAST_M,
    LEAST_RAD,
    Drift,
    command_drift,
    kinematic_drift,
)
from trainer.data.demonstrations.motion_report.lag import Pair, lag_of
from trainer.data.demonstrations.motion_report.limits import Break, KnownLimits, limit_breaks
from trainer.data.demonstrations.motion_report.recordings import Recordings
from trainer.data.demonstrations.motion_report.still import dead_dimensions
from trainer.data.demonstrations.motion_report.table import dips
from trainer.data.demonstrations.proposal.chain import Chain

FloatArray = NDArray[np.float64]

_ASK = "give --robot with --service, or --urdf with --tip"
_MOST = 8
"""Lines of one kind."""
_PER = {"position": "", "velocity": "/s", "acceleration": "/s^2", "jerk": "/s^3"}


def describe_motion_faults(
    recordings: Recordings, chain: Chain | None, limits: KnownLimits | None, table: float | None
) -> list[str]:
    """Lag, drift, broken limits, dead numbers and dips, a line each or more.

    Args:
        recordings: what was recorded.
        chain: the arm's kinematics, where they are known.
        limits: the arm's, likewise.
        table: height [m] in the base frame below which the tool is near the table; None only says how low it goes.
    """
    return [
        *_lag_and_drift(recordings),
        *_kinematics(recordings.tracks, chain),
        *_limits(recordings, limits),
        *_dead(recordings),
        *_table(recordings.tracks, chain, table),
    ]


def _lag_and_drift(recordings: Recordings) -> list[str]:
    if not recordings.is_command:
        return ["lag: none; actions are what was reached later"]
    names, pairs, what, units = _pairs(recordings.tracks)
    if not pairs:
        return ["lag: can't be told; what is commanded was not observed, too (the mapping's state)"]
    lag = lag_of(pairs, recordings.rate_hz)
    if lag is None:
        return ["lag: can't be told; no delay up to half a second explains what is observed by what was commanded"]
    seconds = lag.steps / recordings.rate_hz
    by_episode = f"by episode {lag.least:.1f} to {lag.most:.1f} steps"
    said = f"lag: what is observed follows commands after {lag.steps:.1f} steps, {seconds:.3f} s; {by_episode}"
    return [said, *_drifts(command_drift(names, pairs, lag.steps, what, units), "observations against commands", names)]


def _pairs(tracks: Sequence[Track]) -> tuple[list[str], list[Pair], list[str], list[str]]:
    """Names of episodes, commands and observations of joints, else of positions; what these are called, and units."""
    names, pairs, what, units = list[str](), list[Pair](), list[str](), list[str]()
    for track in tracks:
        told, seen = track.commanded, track.observed
        if told.joint_position is not None and seen.joint_position is not None:
            pair = told.joint_position, seen.joint_position
            what = [f"joint {place + 1}" for place in range(pair[0].shape[1])]
            units = ["rad"] * len(what)
        elif told.pose is not None and seen.pose is not None:
            pair, what, units = (told.pose[0], seen.pose[0]), list("xyz"), ["m"] * 3
        else:
            continue
        names.append(track.name)
        pairs.append(pair)
    return names, pairs, what, units


def _kinematics(tracks: Sequence[Track], chain: Chain | None) -> list[str]:
    if not any(track.observed.joint_position is not None and track.observed.pose is not None for track in tracks):
        return []
    text = "joints against poses, by the arm's kinematics"
    if chain is None:
        return [f"drift between episodes, {text}: not looked at; {_ASK}"]
    names = [track.name for track in tracks]
    widths = {one.shape[1] for track in tracks if (one := track.observed.joint_position) is not None}
    if widths != {chain.dof}:
        some = " or ".join(map(str, sorted(widths)))
        return [f"drift between episodes, {text}: not looked at; the arm has {chain.dof} joints, recorded are {some}"]
    return _drifts(kinematic_drift(tracks, chain), text, names)


def _drifts(found: Sequence[Drift], what: str, names: Sequence[str]) -> list[str]:
    start = f"drift between episodes, {what}:"
    if not found:
        return [f"{start} none beyond {LEAST_RAD:g} rad or {LEAST_M:g} m in {len(names)} episodes"]
    lines = [
        f"{start} {one.what} is off by {one.lowest:.4f} to {one.highest:.4f} {one.unit}, in half of the episodes by "
        f"{one.usual:.4f}; {one.episodes} of {len(names)} differ, {one.furthest} most"
        for one in found[:_MOST]
    ]
    return [*lines, *([f"{start} {len(found) - _MOST} more"] if len(found) > _MOST else [])]


def _limits(recordings: Recordings, limits: KnownLimits | None) -> list[str]:
    if limits is None:
        return [f"limits: not looked at; {_ASK}"]
    lines, names = [], [track.name for track in recordings.tracks]
    for what in ("commanded", "observed"):
        joints = [getattr(track, what).joint_position for track in recordings.tracks]
        known = [one for one in joints if one is not None]
        if len(known) < len(names):
            continue
        if known[0].shape[1] != limits.lower.size:
            lines.append(f"limits: {known[0].shape[1]} joints are {what}, the arm has {limits.lower.size}")
            continue
        found = limit_breaks(names, known, recordings.rate_hz, limits)
        looked = [kind for kind in _PER if kind not in limits.unknown]
        lines += [_break(one, what, len(names)) for one in found]
        if not found:
            lines.append(f"limits: what is {what} keeps those of {', '.join(looked)}")
    if not lines:
        return ["limits: can't be told; no joints are recorded"]
    return [*lines, *([f"limits: those of {', '.join(limits.unknown)} are not known"] if limits.unknown else [])]


def _break(one: Break, what: str, episodes: int) -> str:
    unit, where = f"rad{_PER[one.kind]}", f"{_steps(one.steps)} of {one.episodes} of {episodes} episodes"
    return (
        f"limits: {one.kind} broken in what is {what}, in {where}; "
        f"most at joint {one.joint}, {one.value:.3g} {unit} where {one.limit:.3g} is allowed, in {one.episode} at step "
        f"{one.step}"
    )


def _steps(count: int) -> str:
    return f"{count} step{'s' * (count != 1)}"


def _dead(recordings: Recordings) -> list[str]:
    dead = dead_dimensions(recordings.columns)
    if not dead:
        return ["never moves: no number does"]
    shown = [f"{name} is {value:g}" for name, value in list(dead.items())[:_MOST]]
    more = f", and {len(dead) - _MOST} more" if len(dead) > _MOST else ""
    return [f"never moves: {', '.join(shown)}{more}, at every step of every episode"]


def _table(tracks: Sequence[Track], chain: Chain | None, table: float | None) -> list[str]:
    heights = [_heights(track, chain) for track in tracks]
    known = [one for one in heights if one is not None]
    if len(known) < len(tracks):
        return [f"table: the tool's height is not recorded; {_ASK}"]
    names = [track.name for track in tracks]
    found = dips(names, known, -np.inf if table is None else table)
    lowest = f"lowest {found.lowest:.4f} m, in {found.episode} at step {found.step}"
    if table is None:
        return [f"table: the tool's height is {lowest}; what is below some height is counted with --table"]
    some = f"{_steps(found.steps)} of {found.episodes} of {len(names)} episodes"
    return [f"table: the tool is below {table:g} m in {some}; {lowest}"]


def _heights(track: Track, chain: Chain | None) -> FloatArray | None:
    """Heights of the tool as it is observed, else by the observed joints, else as it is commanded."""
    joints = (
        track.observed.joint_position if track.observed.joint_position is not None else track.commanded.joint_position
    )
    if track.observed.pose is not None:
        return track.observed.pose[0][:, 2]
    if joints is not None and chain is not None and joints.shape[1] == chain.dof:
        return chain.tool_poses(joints)[0][:, 2]
    return None if track.commanded.pose is None else track.commanded.pose[0][:, 2]
