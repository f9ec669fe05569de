"""How observed joints and observed poses agree by the arm's kinematics: units, order, signs, offsets and frames.

What needs the fewest assumptions is tried first: both as they are; then one of joints with another direction or zero,
and poses in another frame; then both. Where two of the same step agree, neither is said.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.rotation import geodesic_angle, matrix_to_rotvec
from trainer.data.demonstrations.mapping.mapping import Frame, Joints, Position, Rotation
from trainer.data.demonstrations.proposal.chain import Chain
from trainer.data.demonstrations.proposal.frames import Free, as_mapping, distance, fit_frames, without_frames
from trainer.data.demonstrations.proposal.guess import AS_GOOD, Solution
from trainer.data.demonstrations.proposal.readings import within_limits
from trainer.poses import Pose

FloatArray = NDArray[np.float64]
Unit = tuple[Joints, FloatArray]
"""A unit of joints, with the arm's own zero and direction, and the (n, dof) positions [rad or m] by it."""
PoseReading = tuple[Position, Rotation, "Frame | str", Pose]
"""How a pose is read, the frame it is said to be in, and the (N, 3) and (N, 3, 3) poses in the arm's by that."""

NEAR, FLOOR = 0.02, 0.002
"""Of joints and poses that agree, and below which differences mean nothing [m and rad, added]."""
# Offsets are fitted to so many steps, for every direction of the joints in a few rounds, then for the likeliest.
_FIT, _FIRST, _ROUNDS, _LIKELY = 16, 6, 15, 12
# A fitted offset below this is none [rad]; encoders and files round.
_NO_OFFSET = 0.01
_STARTS = 3


def kinematic_solutions(
    chain: Chain, units: Sequence[Unit], poses: Sequence[PoseReading], chosen: NDArray[np.int64]
) -> list[Solution]:
    """Readings of observed joints and poses, with how far they are apart; all of one step of assumptions.

    Args:
        chain: the arm.
        units: of the joints, with their N positions by each.
        poses: readings of the N observed poses.
        chosen: steps that are compared.
    """
    given = [(unit, values[chosen]) for unit, values in units]
    seen = [(*reading[:3], (reading[3][0][chosen], reading[3][1][chosen])) for reading in poses]
    direct = _direct(chain, given, seen)
    if direct and min(one.distance for one in direct) < NEAR:
        return direct
    own = [reading for reading in seen if reading[2] == "base"]
    first = _other_zeros(chain, given, own) + _other_frames(chain, given, own, plain=True)
    if first and min(one.distance for one in first) < NEAR:
        return direct + first
    return direct + first + _other_frames(chain, given, own, plain=False)


def _solution(joints: Joints, reading: Sequence[Any], frame: Frame | str, apart: float) -> Solution:
    values = {
        ("state", "joint_position"): joints,
        ("state", "position"): reading[0],
        ("state", "rotation"): reading[1],
        ("state", "frame"): frame,
    }
    return Solution(values, apart)


def _direct(chain: Chain, given: Sequence[Unit], seen: Sequence[PoseReading]) -> list[Solution]:
    """Solutions with the arm's own zero and direction of all joints, or one of them turned the other way."""
    found = []
    turned = np.concatenate([np.ones((1, chain.dof)), 1 - 2 * np.eye(chain.dof)])
    for (unit, values), sign in itertools.product(given, turned):
        if not within_limits(values * sign, chain):
            continue
        tool = chain.tool_poses(values * sign)
        joints = _joints(unit, sign, np.zeros(chain.dof))
        found += [_solution(joints, one, one[2], distance(one[3], tool)) for one in seen]
    return found


def _other_frames(chain: Chain, given: Sequence[Unit], seen: Sequence[PoseReading], *, plain: bool) -> list[Solution]:
    """Solutions with poses in a constant other frame: of the base, of the tool, and where neither will do, of both.

    Args:
        chain: the arm.
        given: units, and joint positions by them.
        seen: readings of the poses.
        plain: whether joints have the arm's own direction; else any.
    """
    signs = [np.ones(chain.dof)] if plain else [np.array(s) for s in itertools.product([1, -1], repeat=chain.dof)]
    tools = [
        (unit, sign, chain.tool_poses(values * sign))
        for (unit, values), sign in itertools.product(given, signs)
        if within_limits(values * sign, chain)
    ]
    found: list[Solution] = []
    steps: tuple[tuple[Free, ...], ...] = (("base", "tool"), ("both",))
    for free in steps:
        for (unit, sign, tool), one, which in itertools.product(tools, seen, free):
            frames = fit_frames(one[3], tool, which)
            if frames is None:
                continue
            frame = as_mapping(*frames)
            apart = distance(without_frames(one[3], *frames), tool)
            found.append(_solution(_joints(unit, sign, np.zeros(chain.dof)), one, frame, apart))
        if found and min(one.distance for one in found) < NEAR:
            break
    return found


def _other_zeros(chain: Chain, given: Sequence[Unit], seen: Sequence[PoseReading]) -> list[Solution]:
    """Solutions with joints of any direction and zero, and poses as ours."""
    found = []
    signs = np.array(list(itertools.product([1.0, -1.0], repeat=chain.dof)))
    for (unit, values), one in itertools.product(given, seen):
        if not _can_turn(chain, values, one[3]):
            continue
        for start in range(_STARTS):
            drawn = np.random.default_rng(start).uniform(-2, 2, (len(signs), chain.dof))
            offsets, left = fit_offsets(chain, values, one[3], signs, drawn if start else np.zeros_like(drawn), _FIRST)
            likely = np.argsort(left)[:_LIKELY]
            offsets, _ = fit_offsets(chain, values, one[3], signs[likely], offsets[likely], _ROUNDS)
            for sign, offset in zip(signs[likely], offsets, strict=True):
                offset = np.where(np.abs(offset) < _NO_OFFSET, 0.0, np.round(offset, 4))
                if not within_limits(values * sign + offset, chain):
                    continue
                apart = distance(chain.tool_poses(values * sign + offset), one[3])
                found.append(_solution(_joints(unit, sign, offset), one, "base", apart))
    return _without_twins(found)


def _can_turn(chain: Chain, values: FloatArray, seen: Pose) -> bool:
    """Whether the tool turns no more than all joints together, as it must, whatever their direction and zero."""
    turned = np.ptp(values, axis=0)[~chain.slides].sum()
    return bool(geodesic_angle(seen[1], seen[1][:1]).max() < turned + NEAR)


def fit_offsets(
    chain: Chain, values: FloatArray, seen: Pose, signs: FloatArray, offsets: FloatArray, rounds: int
) -> tuple[FloatArray, FloatArray]:
    """(n, dof) offsets of joints, for each of (n, dof) signs, by Gauss and Newton from where they are; what is left."""
    left = np.zeros(len(signs))
    few = np.linspace(0, len(values) - 1, min(_FIT, len(values))).astype(np.int64)
    values, position, rotation = values[few], seen[0][few], seen[1][few]
    for _ in range(rounds):
        joints = values * signs[:, None] + offsets[:, None]
        tool, jacobian = chain.tool_poses_and_jacobian(joints.reshape(-1, chain.dof))
        shape = (len(signs), len(few))
        turn = rotation @ np.swapaxes(tool[1].reshape(*shape, 3, 3), -1, -2)
        residue = np.concatenate([position - tool[0].reshape(*shape, 3), matrix_to_rotvec(turn)], axis=-1)
        left = (residue**2).sum(axis=(1, 2))
        rows = jacobian.reshape(len(signs), -1, chain.dof)
        normal = np.swapaxes(rows, 1, 2) @ rows + 1e-6 * len(few) * np.eye(chain.dof)
        step = np.linalg.solve(normal, np.swapaxes(rows, 1, 2) @ residue.reshape(len(signs), -1, 1))[..., 0]
        largest = np.abs(step).max(axis=1, keepdims=True)
        offsets = offsets + step * np.minimum(1.0, 0.5 / np.maximum(largest, 1e-9))
    return np.where(chain.slides, offsets, (offsets + np.pi) % (2 * np.pi) - np.pi), left


def _without_twins(solutions: Sequence[Solution]) -> list[Solution]:
    """The solutions, but only the nearest of those that differ in nothing but the last digits of an offset."""
    kept: list[Solution] = []
    for one in sorted(solutions, key=lambda solution: solution.distance):
        if not any(_are_twins(one, other) for other in kept if other.distance < max(AS_GOOD * one.distance, NEAR)):
            kept.append(one)
    return kept


def _are_twins(a: Solution, b: Solution) -> bool:
    first, second = a.values[("state", "joint_position")], b.values[("state", "joint_position")]
    others = [key for key in a.values if key != ("state", "joint_position")]
    if any(a.values[key] != b.values[key] for key in others) or _alike(first) != _alike(second):
        return False
    dof = len(first.offset or second.offset or ())
    offsets = [np.array(one.offset or (0.0,) * dof) for one in (first, second)]
    return bool((np.abs(offsets[0] - offsets[1]) < 2 * _NO_OFFSET).all())


def _alike(joints: Joints) -> tuple[Any, ...]:
    """All but the offset."""
    return joints.unit, joints.sign, joints.low, joints.high


def _joints(unit: Joints, sign: FloatArray, offset: FloatArray) -> Joints:
    return unit.model_copy(
        update={
            "sign": tuple(-1 if value < 0 else 1 for value in sign) if (sign < 0).any() else None,
            "offset": tuple(offset.tolist()) if offset.any() else None,
        }
    )
