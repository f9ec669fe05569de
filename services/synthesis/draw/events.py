"""What a candidate does at its waypoints and how fast it goes between them: tool speeds, dwells, gripper commands."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.draw.identity import Identities
from services.synthesis.draw.uniform import between
from services.synthesis.request.families import PICK, PLACE, is_family
from services.synthesis.request.trajectory_request import TrajectoryRequest

FloatArray = NDArray[np.float64]

EVENT_WORDS = 3
"""Uniform numbers for each waypoint: tool speed; whether to dwell, or share of speed kept; how long."""
DWELL_PROBABILITY = 0.6
LONGEST_DWELL = 13 / 20
"""Longest dwell at a waypoint [s]: 13 steps at the 20 Hz of the demonstrations."""
FLIP_PROBABILITY = 0.5
GRASP_SECONDS = (0.2, LONGEST_DWELL)
"""How long a pick_and_place rests while its gripper closes or opens [s]."""
HOLD_SECONDS = (0.2, 1.5)
"""How long a hold keeps still between two moments at which its gripper may flip [s]."""


@dataclass(frozen=True, eq=False)
class Events:
    """Events of n candidates with up to S segments; entries past a candidate's own mean nothing.

    Attributes:
        tool_speed: mean tool speed asked of each segment [m/s], shape (n, S), or None.
        time: how long each segment is to take [s], shape (n, S): it is slowed to that, and one that goes nowhere just
            lasts as long; 0 for no such wish.
        dwell: rest after each segment [s], shape (n, S).
        kept: share of its speed with which the arm passes the end of each segment; 0 where it stops, shape (n, S).
        gripper: command from each waypoint on, +1 or -1, shape (n, S + 1).
    """

    tool_speed: FloatArray | None
    time: FloatArray
    dwell: FloatArray
    kept: FloatArray
    gripper: FloatArray


def draw_events(request: TrajectoryRequest, identities: Identities, u: FloatArray) -> Events:
    """Draws the events of n candidates.

    Where a via_velocity is asked for, the arm passes an inner waypoint without a dwell unless the gripper acts there;
    the share then takes the place of the dwell's numbers.

    Args:
        request: whose tool_speed and via_velocity are drawn from.
        identities: what belongs to each candidate's id, its gripper commands among it.
        u: uniform numbers for each waypoint after the first, shape (n, S, EVENT_WORDS).
    """
    family, flip = identities.family, identities.flips[:, : u.shape[1]]
    dwell = np.where(u[..., 1] < DWELL_PROBABILITY, LONGEST_DWELL * u[..., 2], 0.0)
    hold = is_family(family, "hold")
    time, kept = np.zeros_like(dwell), np.zeros_like(dwell)
    time[hold], dwell[hold] = between(HOLD_SECONDS, u[hold, :, 2]), 0.0
    if request.via_velocity is not None:
        inner = np.arange(1, dwell.shape[1] + 1) < identities.segments[:, None]
        passing = is_family(family, "via_points")[:, None] & inner & (flip >= FLIP_PROBABILITY)
        dwell[passing], kept[passing] = 0.0, between(request.via_velocity, u[passing][:, 1])
    gripper = gripper_commands(identities.gripper, flip)
    place = is_family(family, "pick_and_place")
    if place.any():
        closed = np.arange(gripper.shape[1])
        gripper[place] = np.where((closed >= PICK) & (closed < PLACE), 1.0, -1.0)
        for at in (PICK, PLACE):
            dwell[place, at - 1] = between(GRASP_SECONDS, u[place, at - 1, 2])
    return Events(
        tool_speed=None if request.tool_speed is None else between(request.tool_speed, u[..., 0]),
        time=time,
        dwell=dwell,
        kept=kept,
        gripper=gripper,
    )


def gripper_commands(start: FloatArray, flip: FloatArray) -> FloatArray:
    """Gripper command from each waypoint on: a drawn start, and a flip at each later waypoint with a probability."""
    first = np.where(start < 0.5, -1.0, 1.0)[:, None]
    return np.concatenate([first, first * np.cumprod(np.where(flip < FLIP_PROBABILITY, -1.0, 1.0), axis=1)], axis=1)
