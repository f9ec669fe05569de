"""How smooth motion is: jerk and acceleration of chunks, jumps where chunks join, and commands that break limits.

A chunk is what a policy predicts at once. All derivatives are differences of successive actions, which is what a robot
is commanded: over steps of 1/rate_hz, jerk is the third difference times rate_hz^3. Rotations are differentiated as
angular velocities between successive steps.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from shared.robots import JointLimits
from shared.rotation import matrix_to_rotvec, rot6d_to_matrix
from trainer.config import ActionName
from trainer.data.action import GRIPPER, POSITION, ROTATION

FloatArray = NDArray[np.float64]

_POSE_NAMES = {"position": "m", "rotation": "rad"}


def chunk_motion(actions: NDArray[np.floating], action: ActionName, rate_hz: float) -> dict[str, FloatArray]:
    """Mean jerk and acceleration of each chunk (n, steps, action_dim), actions in metres or radians.

    Returns:
        (n,) each. For poses `jerk_m_per_s3`, `acceleration_m_per_s2` of the position, `rotation_jerk_rad_per_s3` and
        `rotation_acceleration_rad_per_s2`; for joints `jerk_rad_per_s3` and `acceleration_rad_per_s2`, means over the
        joints (of a prismatic one in m).
    """
    found = {}
    for name, velocity in _velocities(actions, action, rate_hz).items():
        unit = "m" if name == "position" else "rad"
        prefix = "rotation_" if name == "rotation" else ""
        acceleration = np.diff(velocity, axis=-2) * rate_hz
        jerk = np.diff(acceleration, axis=-2) * rate_hz
        found[f"{prefix}jerk_{unit}_per_s3"] = _mean_size(jerk, name)
        found[f"{prefix}acceleration_{unit}_per_s2"] = _mean_size(acceleration, name)
    return found


def describe_chunks(
    predicted: NDArray[np.floating], demonstrated: NDArray[np.floating], action: ActionName, rate_hz: float
) -> dict[str, float]:
    """Medians of `chunk_motion` over predicted chunks (`chunk_*`), means over demonstrated ones (`demonstration_*`)."""
    ours = {f"chunk_{name}": float(np.median(v)) for name, v in chunk_motion(predicted, action, rate_hz).items()}
    theirs = chunk_motion(demonstrated, action, rate_hz)
    return ours | {f"demonstration_{name}": float(values.mean()) for name, values in theirs.items()}


def describe_motion(episodes: Sequence[NDArray[np.floating]], action: ActionName, rate_hz: float) -> dict[str, float]:
    """The motion of whole episodes (steps, action_dim): means of `chunk_motion`, and the highest speed of one step.

    Returns:
        As `chunk_motion`, means over all steps; for poses also `speed_m_per_s`, the highest, and `step_jump_m` and
        `step_jump_rad`, the 95th percentile of `step_jumps` over all steps.
    """
    # Four steps are the fewest that have a jerk.
    long = [np.asarray(episode, np.float64) for episode in episodes if len(episode) >= 4]
    if not long:
        return {}
    weights = [len(episode) - 3 for episode in long]
    each = [chunk_motion(episode[None], action, rate_hz) for episode in long]
    found = {name: float(np.average([one[name][0] for one in each], weights=weights)) for name in each[0]}
    if action == "ee_pose":
        found["speed_m_per_s"] = max(float(_speed(episode, rate_hz).max()) for episode in long)
        jumps = [step_jumps(episode, np.arange(2, len(episode) - 1)) for episode in long]
        found |= {
            f"step_{name}": float(np.percentile(np.concatenate([j[name] for j in jumps]), 95)) for name in jumps[0]
        }
    return found


def step_jumps(commands: NDArray[np.floating], places: NDArray[np.int64] | Sequence[int]) -> dict[str, FloatArray]:
    """How far the step to each place is from what the motion around it does: from the mean of the steps beside it.

    Args:
        commands: poses (steps, 10), carried out one after the other.
        places: steps of them, from 2 to the last but one; where chunks join, the first of the later chunk.

    Raises ValueError for a place that has no step on either side.

    Returns:
        (places,) each: `jump_m` of the position, `jump_rad` of the rotation.
    """
    at = np.asarray(places, np.int64)
    if at.size and not (at.min() >= 2 and at.max() < len(commands) - 1):
        raise ValueError(f"steps {at.min()} to {at.max()} of {len(commands)}: a jump needs a step on either side")
    found = {}
    for name, velocity in _velocities(commands[None], "ee_pose", 1.0).items():
        step = velocity[0]
        off = step[at - 1] - (step[at - 2] + step[at]) / 2
        found[f"jump_{_POSE_NAMES[name]}"] = np.linalg.norm(off, axis=-1)
    return found


def fast_steps(commands: NDArray[np.floating], rate_hz: float, speed_m_per_s: float) -> int:
    """How many steps of poses (steps, 10) go faster than a speed, by more than a thousandth."""
    return int((_speed(commands, rate_hz) > 1.001 * speed_m_per_s).sum())


def joint_limit_breaks(chunks: NDArray[np.floating], limits: JointLimits, rate_hz: float) -> dict[str, float]:
    """Shares of the steps of joint chunks (n, steps, dof + 1) that break a limit, by the audit's bounds on samples.

    Between samples a time h apart, the first difference is at most h v, the second h^2 a, the third h^3 j.

    Returns:
        `position_breaks`, `velocity_breaks`, `acceleration_breaks` and `jerk_breaks`.
    """
    q = np.asarray(chunks, np.float64)[..., :GRIPPER]
    # float32 rounds positions; each difference doubles what it rounds off.
    rounding = 2.0**-23 * np.maximum(np.abs(limits.lower), np.abs(limits.upper))
    breaks = {"position": (q < limits.lower - rounding) | (q > limits.upper + rounding)}
    bounds = {"velocity": limits.velocity, "acceleration": limits.acceleration, "jerk": limits.jerk}
    for order, (name, bound) in enumerate(bounds.items(), start=1):
        difference = np.abs(np.diff(q, n=order, axis=-2))
        breaks[name] = difference > bound / rate_hz**order + 2**order * rounding
    return {f"{name}_breaks": float(broken.any(-1).mean()) for name, broken in breaks.items()}


def _velocities(actions: NDArray[np.floating], action: ActionName, rate_hz: float) -> Mapping[str, FloatArray]:
    """Differences of successive actions (n, steps, action_dim), (n, steps - 1, numbers) in m or rad a second."""
    values = np.asarray(actions, np.float64)
    if action == "joint_position":
        return {"joint": np.diff(values[..., :GRIPPER], axis=-2) * rate_hz}
    rotation = rot6d_to_matrix(values[..., ROTATION])
    turn = matrix_to_rotvec(rotation[..., 1:, :, :] @ np.swapaxes(rotation[..., :-1, :, :], -1, -2))
    return {"position": np.diff(values[..., POSITION], axis=-2) * rate_hz, "rotation": turn * rate_hz}


def _mean_size(values: FloatArray, name: str) -> FloatArray:
    """Mean over the steps of (n, steps, numbers): of the vector's length, or of each joint's absolute value."""
    sizes = np.abs(values).mean(-1) if name == "joint" else np.linalg.norm(values, axis=-1)
    return np.asarray(sizes.mean(-1))


def _speed(commands: NDArray[np.floating], rate_hz: float) -> FloatArray:
    steps = np.diff(np.asarray(commands, np.float64)[..., POSITION], axis=-2)
    return np.asarray(np.linalg.norm(steps, axis=-1) * rate_hz)
