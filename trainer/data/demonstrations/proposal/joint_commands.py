"""Commanded joint positions, by agreement with the observed ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.plain_sum import plain_sum
from trainer.data.demonstrations.mapping.mapping import Joints
from trainer.data.demonstrations.proposal.calibration import Calibration
from trainer.data.demonstrations.proposal.commands import Fit, absolute_fit, delta_fit, motions, scaled_fit
from trainer.data.demonstrations.proposal.deltas import delta_from, scales, why_scale
from trainer.data.demonstrations.proposal.guess import AS_GOOD, Guess, Solution, settle
from trainer.data.demonstrations.proposal.readings import joint_units
from trainer.data.demonstrations.proposal.steps import Steps

FloatArray = NDArray[np.float64]
Observed = tuple[Joints, FloatArray]
"""A reading of the observed joints, and their (N, dof) positions by it."""

# Half of the steps of a joint within this of what was commanded [rad]: lag, sag.
_NEAR, _FLOOR = 0.15, 0.01
# An offset below this may be sag under a load [rad]; above it, half of the steps must be much nearer with it.
_SAG = 0.05
_MOVES = 0.02


@dataclass(frozen=True)
class _OneJoint:
    """A joint's direction and zero, and how far it then is from its commands, and if turned the other way."""

    sign: int
    offset: float
    apart: float
    turned: float


def joint_mode(steps: Steps, told: FloatArray, seen: FloatArray) -> tuple[Fit, Fit]:
    """How well (N, dof) commands explain observed positions, and motions: of the joints that move, the median."""
    moving = [j for j in range(seen.shape[1]) if np.ptp(seen[:, j]) > _MOVES and np.ptp(told[:, j]) > 0]
    pairs = [(told[:, j : j + 1], seen[:, j : j + 1]) for j in moving]
    absolute = [absolute_fit(steps, a, b) for a, b in pairs]
    delta = [delta_fit(steps, a, motions(b)) for a, b in pairs]
    return _middle(absolute), _middle(delta)


def _middle(fits: Sequence[Fit]) -> Fit:
    return sorted(fits, key=lambda fit: fit.unexplained)[len(fits) // 2] if fits else Fit(1.0, 0.0, 0)


def joint_guesses(
    steps: Steps, columns: str, observed: Sequence[Observed], calibration: Calibration | None = None
) -> list[Guess]:
    """Guesses of absolute action.joint_position, and of state.joint_position, as which of its readings goes with it."""
    units = joint_units(columns, steps.values(columns), calibration)
    solutions, joints = [], {}
    for state, seen in observed:
        for unit, told in units:
            each = _each_joint(steps, told, seen)
            reading = _joints(unit, [one.sign for one in each], [one.offset for one in each])
            values = {("state", "joint_position"): state, ("action", "joint_position"): reading}
            solutions.append(Solution(values, max(one.apart for one in each)))
            joints[reading] = each
    found = settle(solutions, _NEAR, _FLOOR, "commanded and observed joints")
    return [_with_signs(guess, joints) if guess.key[0] == "action" else guess for guess in found]


def _with_signs(guess: Guess, joints: dict[Joints, list[_OneJoint]]) -> Guess:
    """The guess, or the question which way joints turn whose motion does not tell."""
    if len(guess.readings) != 1:
        return guess
    reading: Joints = guess.readings[0]
    unclear = [j for j, one in enumerate(joints[reading]) if one.turned < max(AS_GOOD * one.apart, _FLOOR)]
    if not unclear:
        return guess
    signs = list(reading.sign or (1,) * len(joints[reading]))
    others = []
    for j in unclear:
        turned = [-value if i == j else value for i, value in enumerate(signs)]
        others.append(reading.model_copy(update={"sign": tuple(turned)}))
    named = ", ".join(str(j + 1) for j in unclear)
    return Guess(guess.key, (reading, *others), f"which way joint {named} turns can't be told: it hardly moves")


def _each_joint(steps: Steps, told: FloatArray, seen: FloatArray) -> list[_OneJoint]:
    """What fits each joint, at the delay at which all of them agree best."""
    best: list[_OneJoint] = []
    for delay in steps.delays:
        early, late = steps.pairs(delay)
        found = [_one_joint(told[early, j], seen[late, j]) for j in range(seen.shape[1])]
        if not best or plain_sum(one.apart for one in found) < plain_sum(one.apart for one in best):
            best = found
    return best


def _one_joint(told: FloatArray, seen: FloatArray) -> _OneJoint:
    fits = []
    for sign in (1, -1):
        offset = float(np.median(seen - sign * told))
        plain = float(np.median(np.abs(seen - sign * told)))
        moved = float(np.median(np.abs(seen - sign * told - offset)))
        has_offset = abs(offset) > _SAG and AS_GOOD * moved < plain
        fits.append((moved if has_offset else plain, round(offset, 4) if has_offset else 0.0, sign))
    (apart, offset, sign), (turned, *_) = sorted(fits, key=lambda fit: (fit[0], abs(fit[1])))
    return _OneJoint(sign, offset, apart, turned)


def _joints(unit: Joints, signs: Sequence[int], offsets: Sequence[float]) -> Joints:
    return unit.model_copy(
        update={
            "sign": tuple(signs) if -1 in signs else None,
            "offset": tuple(offsets) if any(offsets) else None,
        }
    )


def joint_delta_guesses(steps: Steps, columns: str, observed: Sequence[Observed]) -> list[Guess]:
    """Guesses of action.joint_position and delta_from, where the columns are motions."""
    if len(observed) != 1:
        why = "the unit of the observed joints can't be told, so that of their motions can't either"
        return [Guess(("action", "joint_position"), (), why)]
    told, seen = steps.values(columns), observed[0][1]
    fits = [scaled_fit(steps, told[:, j : j + 1], motions(seen[:, j : j + 1])) for j in range(seen.shape[1])]
    signs = [-1 if fit.factor < 0 else 1 for fit in fits]
    whole = scaled_fit(steps, told * signs, motions(seen))
    reading = _joints(Joints(columns=columns), signs, [])
    readings = tuple(reading.model_copy(update={"scale": scale}) for scale in scales(whole))
    return [Guess(("action", "joint_position"), readings, why_scale(whole, "rad"), unchecked=True), delta_from(whole)]
