"""Commanded motions: their units, axes, and what they start from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.demonstrations.mapping.mapping import Position, Rotation
from trainer.data.demonstrations.proposal.commands import Fit, in_tool_axes, motions, scaled_fit, turns
from trainer.data.demonstrations.proposal.guess import Guess, Solution, distinct, settle
from trainer.data.demonstrations.proposal.steps import Steps
from trainer.poses import Pose

FloatArray = NDArray[np.float64]

# Share of the motion that is left where an arm moves by just what it is told.
_EXACT = 0.01
_NEAR, _FLOOR = 0.6, 0.02


def pose_delta_guesses(
    steps: Steps, position: str, rotation: str, observed: Sequence[tuple[Mapping[Any, Any], Pose]]
) -> list[Guess]:
    """Guesses of action.position, rotation, delta_axes, delta_from, where columns are shifts and rotation vectors."""
    shift, turn = steps.values(position), steps.values(rotation)
    solutions, fits = [], {}
    for (state, seen), of_tool in ((one, tool) for one in observed for tool in (False, True)):
        moved = motions(seen[0])
        if of_tool:
            moved = in_tool_axes(moved, seen[1])
        parts = scaled_fit(steps, shift, moved), scaled_fit(steps, turn, turns(seen[1], of_tool=of_tool))
        axes = "tool" if of_tool else "base"
        solutions.append(Solution({**state, ("action", "delta_axes"): axes}, sum(part.unexplained for part in parts)))
        fits[axes, id(seen)] = parts
    found = settle(solutions, _NEAR, _FLOOR, "commands and observed motion (shares left unexplained)")
    best = min(fits.values(), key=lambda parts: sum(part.unexplained for part in parts))
    places = tuple(Position(columns=position, scale=scale) for scale in scales(best[0]))
    encodings = tuple(Rotation(columns=rotation, encoding="rotation_vector", scale=scale) for scale in scales(best[1]))
    return [
        *found,
        Guess(("action", "position"), places, why_scale(best[0], "m"), unchecked=True),
        Guess(
            ("action", "rotation"),
            encodings,
            f"{why_scale(best[1], 'rad')}; small Euler angles xyz are the same",
            unchecked=True,
        ),
        delta_from(best[0]),
    ]


def delta_from(fit: Fit) -> Guess:
    """What motions start from: the observed state where it moves by just what it is told, at once."""
    if fit.delay == 0 and fit.unexplained < _EXACT:
        why = "the arm moves by what it is told at each step, so that the state and the command before are the same"
        return Guess(("action", "delta_from"), ("state",), why)
    why = f"the arm follows {fit.delay} steps later, {fit.unexplained:.0%} of its motion apart: both are possible"
    return Guess(("action", "delta_from"), ("state", "command"), why)


def scales(fit: Fit) -> tuple[float, ...]:
    """Readings of a motion's unit: that it is what the arm moves by, or 1."""
    return distinct([float(f"{fit.factor:.3g}"), 1.0])


def why_scale(fit: Fit, unit: str) -> str:
    """Why the unit of a motion is never known: what an arm lags behind, the file can't tell from what it was told."""
    return (
        f"the arm moves {fit.factor:.3g} {unit} for each unit ({fit.unexplained:.1%} of its motion is unexplained), "
        "and is told to move more where it goes only a part of the way in a step"
    )
