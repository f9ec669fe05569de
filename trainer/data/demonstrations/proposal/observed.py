"""What was observed of the arm: the readings of it that are possible, and those that its kinematics leaves."""

from collections.abc import Mapping as Dict
from typing import Any

from trainer.data.demonstrations.mapping.mapping import State
from trainer.data.demonstrations.proposal import kinematics
from trainer.data.demonstrations.proposal.calibration import Calibration
from trainer.data.demonstrations.proposal.chain import Chain
from trainer.data.demonstrations.proposal.guess import Guess, agreeing, distinct, settle
from trainer.data.demonstrations.proposal.layout import Layout
from trainer.data.demonstrations.proposal.readings import (
    joint_readings,
    joint_units,
    position_readings,
    rotation_readings,
)
from trainer.data.demonstrations.proposal.steps import Steps
from trainer.poses import Pose

NO_KINEMATICS = "it needs the arm's kinematics (--robot or --urdf), and both its joints and its poses as observed"

Known = tuple[Dict[Any, Any], Pose]
"""A reading of the observed state, by table and key of the mapping, and the (N, 3) and (N, 3, 3) poses by it."""

_COMPARED = 120
_MOST_ALIKE = 32


def observed_readings(
    steps: Steps, layout: Layout, chain: Chain | None, calibration: Calibration | None = None
) -> tuple[list[Known], list[Guess]]:
    """Readings of the observed state that are possible, with the poses by them, and what is known by that."""
    part = layout.state
    joints = part.joint_position
    poses = _pose_readings(steps, layout)
    if joints and poses and chain is not None:
        chosen = steps.spread(_COMPARED)
        units = joint_units(joints, steps.values(joints), calibration)
        solutions = kinematics.kinematic_solutions(chain, units, poses, chosen)
        what = "observed joints and poses, by the arm's kinematics,"
        guesses = settle(solutions, kinematics.NEAR, kinematics.FLOOR, what) if solutions else []
        alike = agreeing(solutions, kinematics.NEAR, kinematics.FLOOR)
        # Where nothing agrees, or too much, what is commanded has nothing to be compared with.
        if guesses:
            few = alike if len(alike) <= _MOST_ALIKE else []
            return [(one.values, _poses_of(steps, one.values)) for one in few], guesses
    found: list[Known] = []
    guesses = []
    for place, turn, frame, pose in poses:
        values = {("state", "position"): place, ("state", "rotation"): turn, ("state", "frame"): frame}
        found.append((values, pose))
    if poses:
        places, turns = (distinct([one[i] for one in poses]) for i in (0, 1))
        guesses += [
            Guess(("state", "position"), places, "in other units the arm would be too near or too far"),
            Guess(("state", "rotation"), turns, f"it can't be checked: {NO_KINEMATICS}", len(turns) == 1),
            Guess(("state", "frame"), ("base",), f"the frame can't be checked: {NO_KINEMATICS}", True),
        ]
    if joints:
        guesses += _joints_alone(steps, joints, chain, calibration)
    return found, guesses


def _pose_readings(steps: Steps, layout: Layout) -> list[kinematics.PoseReading]:
    part = layout.state
    if not part.position or not part.rotation:
        return []
    found: list[kinematics.PoseReading] = []
    scenes = all(raw.frames for raw in steps.raws)
    for place, metres in position_readings(part.position, steps.values(part.position)):
        for turn, matrices in rotation_readings(part.rotation, steps.values(part.rotation)):
            found.append((place, turn, "base", (metres, matrices)))
            if scenes:
                state = State(position=place, rotation=turn, frame="robosuite")
                found.append((place, turn, "robosuite", steps.poses(state)))
    return found


def _poses_of(steps: Steps, values: Dict[Any, Any]) -> Pose:
    fields = {key: value for (_, key), value in values.items() if key in ("position", "rotation", "frame")}
    return steps.poses(State(**fields))


def _joints_alone(steps: Steps, columns: str, chain: Chain | None, calibration: Calibration | None) -> list[Guess]:
    """What is known of joints whose kinematics can't be compared: their unit at most, by the limits."""
    key, readings = ("state", "joint_position"), joint_readings(columns, steps.values(columns), chain, calibration)
    why = f"direction and zero of the joints can't be checked: {NO_KINEMATICS}"
    if not readings:
        why = "neither as radians nor as degrees are the joints within the arm's limits; they may be normalized: " + (
            'unit = "normalized", with low and high from the calibration (--calibration)'
        )
        if calibration is not None:
            why = "neither as radians or degrees, nor by the calibration, are the joints within the arm's limits"
    return [Guess(key, tuple(reading for reading, _ in readings), why, True)]
