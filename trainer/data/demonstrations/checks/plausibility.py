"""Whether demonstrations can be what their mapping says: replayed, they must be a motion that an arm can make.

Each check looks at all episodes and raises Implausible with the assumption that is in doubt and the numbers. None
needs the robot's kinematics: reach and limits come from the action range, the rest from what was observed.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.rotation import geodesic_angle
from trainer.data.action import RANGE_TOLERANCE
from trainer.data.demonstrations.checks.continuity import check_continuity
from trainer.data.demonstrations.checks.implausible import Implausible, Ranges
from trainer.data.demonstrations.checks.track import Track
from trainer.data.demonstrations.mapping.mapping import Assumption, Mapping
from trainer.data.demonstrations.mapping.motion import Motion, RawEpisode

FloatArray = NDArray[np.float64]

# Commands lead what is observed; half of the steps within this, at the best delay up to MOST_DELAY, is agreement.
NEAR_POSITION = 0.10
NEAR_ANGLE = np.deg2rad(25)
NEAR_JOINT = 0.25
MOST_DELAY = 0.5
# One episode may be this much further away: contact, loads and lag even out over all of them, but not within one. Of
# 200 with 0.03 m and 0.1 rad of offset and 0.4 s of lag, as cheap arms have, the furthest is 0.096 m and 0.36 rad away.
ALONE = 1.5
# Correlations of commanded and observed gripper that mean something: of all episodes, and of one, in which a gripper
# may move once only, too late or already at the start. An observed one that stays within a tenth of its way (from -1
# to 1) is noise, or holds something as wide as itself.
RELATED = 0.3
RELATED_ALONE = 0.6
GRIPPER_MOVES = 0.2
# A turn and a little: nobody writes more, but for degrees. Joints may turn a few times.
MOST_RADIANS = 2 * np.pi + 0.1
MOST_JOINT_RADIANS = 6 * np.pi
# Half of all tool poses nearer to the base's origin than this lie inside the arm; of one episode's, than half of this.
INSIDE_BASE = 0.10
_AXES = "xyz"
# Encodings that hold angles; joint positions have none.
_ANGLES = ("", "euler", "rotation_vector")


Distance = Callable[[Motion, Motion], FloatArray | None]
"""How far commanded and observed motion are apart at each step, (T,); None where one of them is not known."""


def check(tracks: Sequence[Track], rate_hz: float, ranges: Ranges, accept: Sequence[str] = ()) -> None:
    """Raises Implausible at the first assumption that the episodes contradict, but for those to be accepted."""
    for one in (_away_from_base, _in_range, _continuous, _as_observed, _gripper_as_observed):
        try:
            one(tracks, rate_hz, ranges)
        except Implausible as problem:
            if problem.assumption not in accept:
                raise


def check_angles(raws: Sequence[RawEpisode], mapping: Mapping) -> None:
    """Raises Implausible where what is said to be radians is too much for that."""
    if "degrees" in mapping.accept:
        return
    for part in (mapping.action, mapping.state):
        for angles, most in ((part.rotation, MOST_RADIANS), (part.joint_position, MOST_JOINT_RADIANS)):
            if angles is None or angles.unit != "rad" or getattr(angles, "encoding", "") not in _ANGLES:
                continue
            for raw in raws:
                largest = np.abs(raw.select(angles.columns)).max() * angles.scale
                if largest > most:
                    raise Implausible("degrees", f"{raw.name}: '{angles.columns}' is up to {largest:.1f} rad")


def points_down(tracks: Sequence[Track]) -> float:
    """Share of the steps in which the tool's axis is within 60 degrees of down; 0 where poses are not commanded."""
    rotations = [track.commanded.pose[1] for track in tracks if track.commanded.pose is not None]
    return float((np.concatenate(rotations)[:, 2, 2] < -0.5).mean()) if rotations else 0.0


def _away_from_base(tracks: Sequence[Track], rate_hz: float, ranges: Ranges) -> None:
    distances = [np.linalg.norm(track.commanded.pose[0], axis=1) for track in tracks if track.commanded.pose]
    if not distances:
        return
    text = "half of the commanded positions lie within {:.3f} m of the base's origin"
    if (median := float(np.median(np.concatenate(distances)))) < INSIDE_BASE:
        raise Implausible("delta", text.format(median))
    medians = np.array([np.median(one) for one in distances])
    if (inside := medians < INSIDE_BASE / 2).any():
        named = _some([one for one, is_inside in zip(tracks, inside, strict=True) if is_inside], tracks)
        raise Implausible("delta", f"{named}: {text.format(medians[inside][0])}", some=True)


def _in_range(tracks: Sequence[Track], rate_hz: float, ranges: Ranges) -> None:
    for name, unit, values in (("position", "m", _positions(tracks)), ("joint_position", "rad", _joints(tracks))):
        if name not in ranges or values is None:
            continue
        low, high = np.array(ranges[name]["min"]), np.array(ranges[name]["max"])
        if low.size != values.shape[1]:
            raise ValueError(f"the demonstrations have {values.shape[1]} joints, the action range has {low.size}")
        bottom, top = values.min(0), values.max(0)
        outside = (bottom < low - RANGE_TOLERANCE) | (top > high + RANGE_TOLERANCE)
        if outside.any():
            i = int(np.argmax(outside))
            what = f"{_AXES[i]} is" if name == "position" else f"joint {i + 1} is"
            inside = ((values >= low) & (values <= high)).all(axis=1).mean()
            # What is mostly inside is not misread, but goes too far.
            suspected: Assumption = "frame" if name == "position" else "degrees"
            raise Implausible(
                "range" if inside > 0.5 else suspected,
                f"{what} {bottom[i]:.3f} to {top[i]:.3f} {unit}, the action range {low[i]:.3f} to {high[i]:.3f} {unit}",
            )


def _continuous(tracks: Sequence[Track], rate_hz: float, ranges: Ranges) -> None:
    check_continuity(tracks, rate_hz)


def _as_observed(tracks: Sequence[Track], rate_hz: float, ranges: Ranges) -> None:
    """Raises where commands and observations disagree, at whatever delay they agree best: together, and one by one."""
    distances: dict[str, tuple[float, str, Distance]] = {
        "positions": (NEAR_POSITION, "m", _position_distance),
        "rotations": (NEAR_ANGLE, "rad", _rotation_distance),
        "joint positions": (NEAR_JOINT, "rad", _joint_distance),
    }
    for what, (near, unit, between) in distances.items():
        text = f"the commanded {what} are {{:.2f}} {unit} (median) from the observed ones"
        if (least := min(_medians(tracks, rate_hz, between), default=0.0)) > near:
            raise Implausible("observed", text.format(least))
        apart = [one for one in tracks if not _agrees(_medians([one], rate_hz, between), ALONE * near)]
        if apart:
            least = min(_medians(apart[:1], rate_hz, between))
            raise Implausible("observed", f"{_some(apart, tracks)}: {text.format(least)}", some=True)


def _agrees(medians: Iterator[float], most: float) -> bool:
    """Whether one is at most this, or there is none. Nearly always the first one is, and no other is computed."""
    first = next(medians, 0.0)
    return first <= most or any(median <= most for median in medians)


def _medians(tracks: Sequence[Track], rate_hz: float, between: Distance) -> Iterator[float]:
    """At each delay, the median distance of what was commanded and observed; none where either is not known."""
    for delay in range(int(MOST_DELAY * rate_hz) + 1):
        parts = [between(track.commanded, track.observed.later(delay)) for track in tracks]
        if known := [part for part in parts if part is not None]:
            yield float(np.median(np.concatenate(known)))


def _gripper_as_observed(tracks: Sequence[Track], rate_hz: float, ranges: Ranges) -> None:
    text = "the gripper is seen to open when it is told to close (their correlation is {:.2f})"
    strongest = _correlation(tracks, rate_hz)
    if strongest < -RELATED:
        raise Implausible("gripper", text.format(strongest))
    opposed = [one for one in tracks if _is_seen_to_move(one) and _correlation([one], rate_hz) < -RELATED_ALONE]
    if opposed:
        found = text.format(_correlation(opposed[:1], rate_hz))
        raise Implausible("gripper", f"{_some(opposed, tracks)}: {found}", some=True)
    # What is observed decides where it follows the commands. One that never moves says nothing.
    if strongest < RELATED:
        _gripper_starts_open(tracks)


def _is_seen_to_move(track: Track) -> bool:
    return track.observed.gripper is not None and float(np.ptp(track.observed.gripper)) > GRIPPER_MOVES


def _correlation(tracks: Sequence[Track], rate_hz: float) -> float:
    """Correlation of commanded and observed gripper, at the delay at which it is strongest; 0 where one never moves."""
    pairs = [(track.commanded.gripper, track.observed.gripper) for track in tracks]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    correlations = [0.0]
    for delay in range(int(MOST_DELAY * rate_hz) + 1 if known else 0):
        commanded = np.concatenate([a for a, _ in known])
        observed = np.concatenate([b[np.minimum(np.arange(len(b)) + delay, len(b) - 1)] for _, b in known])
        if commanded.std() > 0 and observed.std() > 0:
            correlations.append(float(np.corrcoef(commanded, observed)[0, 1]))
    return max(correlations, key=abs)


def _gripper_starts_open(tracks: Sequence[Track]) -> None:
    grippers = [track.commanded.gripper for track in tracks if track.commanded.gripper is not None]
    used = [gripper for gripper in grippers if gripper.min() < 0 < gripper.max()]
    if used and len(used) > len(grippers) / 2 and all(gripper[0] > 0 for gripper in used):
        text = "every episode that uses the gripper begins with it told to be closed"
        if any(track.observed.gripper is not None for track in tracks):
            text += ", and what is observed of it does not follow"
        raise Implausible("gripper", text, certain=False)


def _some(wrong: Sequence[Track], tracks: Sequence[Track]) -> str:
    """Some episodes of all, by the first one's name."""
    return wrong[0].name if len(wrong) == 1 else f"{wrong[0].name} and {len(wrong) - 1} more of {len(tracks)} episodes"


def _positions(tracks: Sequence[Track]) -> FloatArray | None:
    known = [track.commanded.pose[0] for track in tracks if track.commanded.pose is not None]
    return np.concatenate(known) if known else None


def _joints(tracks: Sequence[Track]) -> FloatArray | None:
    known = [track.commanded.joint_position for track in tracks if track.commanded.joint_position is not None]
    return np.concatenate(known) if known else None


def _position_distance(a: Motion, b: Motion) -> FloatArray | None:
    return None if a.pose is None or b.pose is None else np.linalg.norm(a.pose[0] - b.pose[0], axis=1)


def _rotation_distance(a: Motion, b: Motion) -> FloatArray | None:
    return None if a.pose is None or b.pose is None else geodesic_angle(a.pose[1], b.pose[1])


def _joint_distance(a: Motion, b: Motion) -> FloatArray | None:
    if a.joint_position is None or b.joint_position is None:
        return None
    difference: NDArray[Any] = np.abs(a.joint_position - b.joint_position)
    return np.asarray(difference.max(axis=1), np.float64)
