"""The ends of a gripper's range, and which of them is closed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data.demonstrations.mapping.mapping import Gripper
from trainer.data.demonstrations.proposal.guess import Guess
from trainer.data.demonstrations.proposal.layout import Layout
from trainer.data.demonstrations.proposal.steps import Steps

FloatArray = NDArray[np.float64]

_ENDS = ((0.0, 1.0), (-1.0, 1.0), (0.0, 100.0), (0.0, 255.0), (0.0, 1000.0))
# Of the way from one end to the other: how near to both ends numbers must come for these to be the ends.
_NEAR_END = 0.06
# What a gripper opens by [m]: fingers that are never more than this apart, and come nearer than a part of it.
_WIDEST, _LEAST_WIDE = 0.2, 0.015
# Of the way: where fingers come to rest, told to close, differs by what is between them.
_HELD, _FREE = 0.06, 0.03
_RELATED = 0.6
_SETTLED = 5


@dataclass(frozen=True)
class _Evidence:
    """For the upper end of the command's range being closed (+1) or open (-1); `strong` is enough alone."""

    says: int
    strong: bool
    text: str


def gripper_guesses(steps: Steps, layout: Layout) -> list[Guess]:
    """Guesses of the commanded gripper, and of the observed one where there is one."""
    if layout.action.gripper is None:
        return [Guess(("action", "gripper"), ("none",), "no component is a gripper's")]
    told = steps.values(layout.action.gripper)[:, 0]
    seen = None if layout.state.gripper is None else steps.values(layout.state.gripper)[:, 0]
    follows = 0 if seen is None else _follows(steps, told, seen)
    evidence = _evidence(steps, told, seen, follows)
    ends, closed = _ends(told), _verdict(evidence)
    why = "; ".join(one.text for one in evidence) or "nothing tells which end is closed"
    guesses = [_guess(("action", "gripper"), layout.action.gripper, told, ends, closed, why)]
    if seen is not None and layout.state.gripper is not None:
        both = (
            f"{why}; it {'goes with' if follows > 0 else 'goes against' if follows else 'does not follow'} the command"
        )
        seen_ends = (0.0, float(seen.max())) if _is_width(seen) else _ends(seen)
        guesses.append(_guess(("state", "gripper"), layout.state.gripper, seen, seen_ends, closed * follows, both))
    return guesses


def _guess(
    key: tuple[str, str], columns: str, values: FloatArray, ends: tuple[float, float] | None, closed: int, why: str
) -> Guess:
    low, high = float(np.round(values.min(), 4)), float(np.round(values.max(), 4))
    if low == high:
        return Guess(key, (), f"'{columns}' is {low:g} at every step")
    pairs = (
        [ends] if ends is not None else [(low, high), *(pair for pair in _ENDS if pair[0] <= low and high <= pair[1])]
    )
    if ends is None:
        why = f"it goes from {low:g} to {high:g}, which are the ends of no usual range; {why}"
    readings = [
        Gripper(columns=columns, open=round(pair[0 if up else 1], 4), closed=round(pair[1 if up else 0], 4))
        for up in ((True, False) if closed == 0 else (closed > 0,))
        for pair in pairs
    ]
    return Guess(key, tuple(readings), why)


def _ends(values: FloatArray) -> tuple[float, float] | None:
    """The usual range whose both ends the numbers come near; their own where they are two numbers only."""
    low, high = float(values.min()), float(values.max())
    for pair in _ENDS:
        near = _NEAR_END * (pair[1] - pair[0])
        if abs(low - pair[0]) < near and abs(high - pair[1]) < near:
            return pair
    return (low, high) if len(np.unique(values)) == 2 else None


def _is_width(values: FloatArray) -> bool:
    """Whether the numbers can be how far fingers are open [m]."""
    low, high = float(values.min()), float(values.max())
    return -0.005 < low < 0.75 * high and _LEAST_WIDE < high < _WIDEST


def _follows(steps: Steps, told: FloatArray, seen: FloatArray) -> int:
    """+1 where what is observed goes with the command, -1 where it goes against it, 0 where that can't be told."""
    best = 0.0
    for delay in steps.delays:
        early, late = steps.pairs(delay, most=len(told))
        if len(early) > 1 and told[early].std() > 0 and seen[late].std() > 0:
            best = max(best, float(np.corrcoef(told[early], seen[late])[0, 1]), key=abs)
    return int(np.sign(best)) if abs(best) > _RELATED else 0


def _evidence(steps: Steps, told: FloatArray, seen: FloatArray | None, follows: int) -> list[_Evidence]:
    found = []
    if seen is not None and follows:
        if (held := _held_end(steps, told, seen)) != 0:
            text = "fingers that are told to close stop at different places, by what they hold"
            found.append(_Evidence(held, True, text))
        if _is_width(seen):
            found.append(_Evidence(-follows, False, "what is observed of it can be a width in metres"))
    first, used = told[steps.starts], np.ptp(told) > 0
    middle = (told.min() + told.max()) / 2
    if used and ((first > middle).all() or (first < middle).all()):
        says = -1 if first[0] > middle else 1
        found.append(_Evidence(says, False, f"every episode begins with {first[0]:.3g}, as an open gripper would"))
    return found


def _verdict(evidence: list[_Evidence]) -> int:
    """+1 where the upper end of the command is closed, -1 where it is open, 0 where that can't be told."""
    says = {one.says for one in evidence}
    enough = any(one.strong for one in evidence) or len(evidence) > 1
    return says.pop() if enough and len(says) == 1 else 0


def _held_end(steps: Steps, told: FloatArray, seen: FloatArray) -> int:
    """+1 where fingers told the upper end stop at different places and those told the lower one do not; -1; else 0."""
    way, near = float(np.ptp(seen)), _NEAR_END * float(np.ptp(told))
    if way == 0:
        return 0
    spread = {}
    begins = set(steps.starts.tolist())
    for says, at in ((1, told >= told.max() - near), (-1, told <= told.min() + near)):
        rests, run = [], 0
        for step in range(len(told)):
            run = run + 1 if at[step] and step not in begins else int(at[step])
            still = run > _SETTLED and np.ptp(seen[step - _SETTLED : step + 1]) < 0.005 * way
            ends = step + 1 == len(told) or not at[step + 1] or step + 1 in begins
            if still and ends:
                rests.append(seen[step])
        spread[says] = np.ptp(rests) / way if len(rests) > 1 else None
    up, down = spread[1], spread[-1]
    if up is None or down is None:
        return 0
    if up > _HELD and down < _FREE:
        return 1
    return -1 if down > _HELD and up < _FREE else 0
