"""Constant offsets that change from episode to episode: a calibration that was made anew, a base that was moved.

Compared are commands with what is observed, at the lag of all episodes, and observed joints with observed poses, by the
arm's kinematics. What is the same in every episode is no drift: it is in the mapping, or ought to be.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.rotation import matrix_to_rotvec
from trainer.data.demonstrations.checks.track import Track
from trainer.data.demonstrations.motion_report.lag import Pair, delayed
from trainer.data.demonstrations.proposal.chain import Chain
from trainer.data.demonstrations.proposal.kinematics import fit_offsets
from trainer.poses import Pose

FloatArray = NDArray[np.float64]

LEAST_RAD, LEAST_M = 0.01, 0.003
"""Drift that is worth a word."""
_CLEARLY = 2.0
"""Times the scatter of an episode's own steps, which a drift must exceed."""
_ROUNDS = 15


@dataclass(frozen=True)
class Drift:
    """An offset that is not the same in all episodes.

    Attributes:
        what: which number it is of.
        unit: of it.
        usual: the offset in half of the episodes.
        lowest: the offset of the episode where it is least.
        highest: where it is greatest.
        furthest: name of the episode that is furthest from usual.
        episodes: how many are further from it than is worth a word.
    """

    what: str
    unit: str
    usual: float
    lowest: float
    highest: float
    furthest: str
    episodes: int


def command_drift(
    names: Sequence[str], pairs: Sequence[Pair], lag: float, what: Sequence[str], units: Sequence[str]
) -> list[Drift]:
    """Drift of what is observed from what was commanded so many steps before, of each of n numbers."""
    apart = [observed - delayed(commanded, lag) for commanded, observed in pairs]
    return drifts(names, *_medians(apart), what, units)


def kinematic_drift(tracks: Sequence[Track], chain: Chain) -> list[Drift]:
    """Drift of observed joints from observed poses: of the joints' zeros, or where these explain less, of the pose."""
    known = [(one.name, *parts) for one in tracks if (parts := _joints_and_pose(one)) is not None]
    if not known:
        return []
    names, zeros, left = [name for name, *_ in known], [], []
    shifts, scatter = _medians([_apart(chain.tool_poses(joints), pose) for _, joints, pose in known])
    for _, joints, pose in known:
        ones, nothing = np.ones((1, chain.dof)), np.zeros((1, chain.dof))
        zeros.append(fit_offsets(chain, joints, pose, ones, nothing, _ROUNDS)[0][0])
        left.append(np.median(np.abs(_apart(chain.tool_poses(joints + zeros[-1]), pose)), axis=0))
    if np.sum(left) < scatter.sum():
        called, units = [f"zero of joint {place + 1}" for place in range(chain.dof)], ["rad"] * chain.dof
        return drifts(names, np.array(zeros), np.repeat(np.max(left, axis=1)[:, None], chain.dof, 1), called, units)
    called = [f"{kind} {axis}" for kind in ("position", "turn about") for axis in "xyz"]
    return drifts(names, shifts, scatter, called, ["m"] * 3 + ["rad"] * 3)


def drifts(
    names: Sequence[str], offsets: FloatArray, scatter: FloatArray, what: Sequence[str], units: Sequence[str]
) -> list[Drift]:
    """Offsets that differ from what they are in half of the episodes, the greatest first.

    Args:
        names: of the episodes.
        offsets: of n numbers, (episodes, n).
        scatter: how far half of an episode's steps are from them, (episodes, n); what is nearer is no drift.
        what: what the numbers are called.
        units: theirs.
    """
    found = []
    # Rounded to what is said of them: a zero without a sign.
    offsets = np.round(offsets, 4) + 0.0
    usual = np.median(offsets, axis=0)
    for place, unit in enumerate(units):
        own, away = offsets[:, place], np.abs(offsets[:, place] - usual[place])
        least = np.maximum(LEAST_M if unit == "m" else LEAST_RAD, _CLEARLY * scatter[:, place])
        if (away > least).any():
            furthest, many = names[int(np.argmax(away - least))], int((away > least).sum())
            found.append(
                Drift(what[place], unit, float(usual[place]), float(own.min()), float(own.max()), furthest, many)
            )
    return sorted(found, key=lambda one: one.lowest - one.highest)


def _medians(apart: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Medians of the differences (T, n) in each episode, and the medians of how far they are from these."""
    middle = np.array([np.median(one, axis=0) for one in apart])
    return middle, np.array([np.median(np.abs(one - own), axis=0) for one, own in zip(apart, middle, strict=True)])


def _joints_and_pose(track: Track) -> tuple[FloatArray, Pose] | None:
    joints, pose = track.observed.joint_position, track.observed.pose
    return None if joints is None or pose is None else (joints, pose)


def _apart(a: Pose, b: Pose) -> FloatArray:
    """(T, 6): from a to b, position [m] and rotation vector [rad] in the base frame."""
    return np.concatenate([b[0] - a[0], matrix_to_rotvec(b[1] @ np.swapaxes(a[1], -1, -2))], axis=1)
