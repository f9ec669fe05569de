"""What the hand holds along a copy: where its box is in the hand, and from when to when it is carried."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.copies.copying import Copies
from services.synthesis.request.workspace import Objects
from shared.demonstrated_motions import DemonstratedMotion, Held

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TOUCH = 2e-3
"""How deep [m] what is held may reach into something: neither its size nor where it was seen is exact."""
LIFTED = 0.01
"""How far [m] it is from where it is taken, and from where it is left, before it is looked at: there it touches what it
lies on."""
_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)


class Carried(NamedTuple):
    """An object that is held in one way in some copies.

    Attributes:
        corners: of its box, less what it may reach into others, in the frame of the arm's last joint [m], shape (8, 3).
        rows: which of the copies they are, shape (m,).
        times: from when to when each carries it, since the row's beginning, shape (m, 2) [s].
    """

    corners: FloatArray
    rows: IntArray
    times: FloatArray


def carried_boxes(workspace: Objects, robot: RobotModel, copies: Copies, candidate: IntArray) -> list[Carried]:
    """Everything of a known size that is held in some copies, of which `candidate` (n,) has the places in `copies`."""
    found, source = [], copies.layouts.source[candidate]
    for index in np.unique(source).tolist():
        motion, rows = workspace.motions.motions[index], np.flatnonzero(source == index)
        for hold in motion.held:
            span = workspace.objects.get(workspace.motions.objects[hold.index].name)
            steps = None if span is None or span.size is None else _lifted(motion, hold)
            if span is not None and span.size is not None and steps is not None:
                # The corners of a box that is smaller by so much on every side are off by less than TOUCH.
                half = np.maximum(np.array(span.size) / 2 - TOUCH / 2, 1e-4)
                in_hand = _in_hand(motion, hold, _SIGNS * half)
                corners = _placed(robot.chain.rotation[-1], robot.chain.translation[-1], in_hand)
                times = np.array([_times(copies, int(candidate[row]), steps) for row in rows])
                found.append(Carried(corners, rows, times))
    return found


def _in_hand(motion: DemonstratedMotion, hold: Held, points: FloatArray) -> FloatArray:
    """Points (n, 3) of an object as the hand was seen to hold it half-way, in the tool's frame: how it was grasped, and
    not how far the hand then lagged behind its command."""
    step, thing, hand = (hold.first + hold.end - 1) // 2, motion.objects[hold.index], motion.reached
    in_base = _placed(thing.rotation[step], thing.position[step], points)
    return _placed(hand.rotation[step].T, np.zeros(3), in_base - hand.position[step])


def _lifted(motion: DemonstratedMotion, hold: Held) -> tuple[float, float] | None:
    """The first step of a hold at which the object is away from where it is taken and from where it is left, and the
    last, as the hand is commanded; None where there is none. What is held from the beginning, or to the end, and so is
    taken or left nowhere, is away until then: endlessly, for a copy goes on for a moment after its last step."""
    own, origin = slice(hold.first, hold.end), _in_hand(motion, hold, np.zeros((1, 3)))
    hand = motion.commanded
    path = (hand.rotation[own] * origin[:, None]).sum(-1) + hand.position[own]
    away = [np.sqrt(((path - path[end]) ** 2).sum(1)) > LIFTED for end in (0, -1)]
    from_start, to_end = hold.first == 0, hold.end == motion.steps
    steps = hold.first + np.flatnonzero((away[0] | from_start) & (away[1] | to_end))
    if not len(steps):
        return None
    return -np.inf if from_start else float(steps[0]), np.inf if to_end else float(steps[-1])


def _placed(rotation: FloatArray, position: FloatArray, points: FloatArray) -> FloatArray:
    """Points (n, 3), turned and moved. Not a matrix product, which processors round differently."""
    return np.asarray((rotation * points[:, None]).sum(-1) + position)


def _times(copies: Copies, copy: int, steps: tuple[float, float]) -> tuple[float, float]:
    """When a copy is at two steps of its source [s]."""
    own = slice(int(copies.first_knot[copy]), int(copies.first_knot[copy + 1]))
    first, last = (float(copies.step[copy]) * _knot_at(copies.time[own], step) for step in steps)
    return first, last


def _knot_at(time: FloatArray, wanted: float) -> float:
    """Where times that never go back reach one, in knots from their first."""
    after = min(int(np.searchsorted(time, wanted)), len(time) - 1)
    if after == 0 or time[after] <= wanted:
        return float(after)
    before = after - 1
    return float(before + (wanted - time[before]) / (time[after] - time[before]))
