"""Whether a motion goes on from step to step, as an arm's does."""

from collections.abc import Iterator, Sequence

import numpy as np

from shared.rotation import geodesic_angle
from trainer.data.demonstrations.checks.implausible import Implausible
from trainer.data.demonstrations.checks.track import Track
from trainer.data.demonstrations.episode import FloatArray
from trainer.data.demonstrations.mapping.motion import Motion

# Faster than arms with a policy move: the Panda's limits are 1.7 m/s and 2.5 rad/s at the tool, 2.6 rad/s at joints.
MOST_SPEED = 3.0
MOST_TURN = 10.0
MOST_JOINT_SPEED = 10.0
# Arms begin at rest. One of the first few observations that is this far [m, rad] from its next, and this many times as
# far as any other, is none of this episode: it was taken before the arm was reset, or is the last one of the episode
# before.
STALE = {"m": 0.05, "rad": 0.2}
STALE_RATIO = 4.0
MOST_STALE = 3
_REMEDY = "look at rate_hz, at the columns of state, and whether this is one episode"
# Episodes of fewer steps don't tell what is usual in them.
_LEAST_STEPS = 6


def check_continuity(tracks: Sequence[Track], rate_hz: float) -> None:
    """Raises Implausible at the first jump of what is commanded, then of what is observed."""
    for track in tracks:
        for steps, most, unit in _steps(track.commanded):
            _require_slow(f"{track.name} jumps", steps, most / rate_hz, rate_hz, unit)
    stale = [(track, *found) for track in tracks if (found := _stale(track.observed)) is not None]
    if stale:
        track, at, apart, usual, unit = stale[0]
        more = f", and so in {len(stale) - 1} more of {len(tracks)} episodes" if len(stale) > 1 else ""
        raise Implausible(
            "continuity",
            f"{track.name} begins with a stale observation: the one of step {at} is {apart:.2f} {unit} from that of "
            f"step {at + 1}, and no other is more than {usual:.2g} {unit} from its next{more}",
            some=len(stale) < len(tracks),
            remedy="it was taken before the episode began: leave such steps out",
        )
    for track in tracks:
        for steps, most, unit in _steps(track.observed):
            # No other reading of positions makes them continuous, but for one that makes them too small to jump.
            remedy = _REMEDY if unit == "m" else None
            _require_slow(f"{track.name}: what is observed jumps", steps, most / rate_hz, rate_hz, unit, remedy)


def _steps(motion: Motion) -> Iterator[tuple[FloatArray, float, str]]:
    """How far a motion goes from each step to the next, (T - 1,), the most a second, and the unit."""
    if motion.pose is not None:
        position, rotation = motion.pose
        yield np.linalg.norm(np.diff(position, axis=0), axis=1), MOST_SPEED, "m"
        yield geodesic_angle(rotation[:-1], rotation[1:]), MOST_TURN, "rad"
    if motion.joint_position is not None:
        yield np.abs(np.diff(motion.joint_position, axis=0)).max(axis=1), MOST_JOINT_SPEED, "rad"


def _stale(observed: Motion) -> tuple[int, float, float, str] | None:
    """The last stale observation at the beginning, how far it and the others are from their next, and the unit."""
    for steps, _, unit in _steps(observed):
        if len(steps) < _LEAST_STEPS:
            continue
        at = int(np.argmax(steps[:MOST_STALE]))
        usual = float(np.delete(steps, at).max())
        if steps[at] > max(STALE[unit], STALE_RATIO * usual):
            return at, float(steps[at]), usual, unit
    return None


def _require_slow(
    what: str, steps: FloatArray, most: float, rate_hz: float, unit: str, remedy: str | None = None
) -> None:
    if len(steps) and steps.max() > most:
        at = int(np.argmax(steps))
        raise Implausible(
            "continuity",
            f"{what} by {steps[at]:.2f} {unit} between steps {at} and {at + 1}, which at {rate_hz:g} Hz is "
            f"{steps[at] * rate_hz:.1f} {unit}/s",
            remedy=remedy,
        )
