"""How smooth the motion of rollouts is: of each one, and of all of a policy beside the demonstrations'."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainer.config import ActionName
from trainer.evaluation.smoothness import chunk_motion, fast_steps, step_jumps
from trainer.simulation.rollout import Rollout

_DIGITS = 6


def rollout_motion(result: Rollout, action: ActionName, rate_hz: float, fastest: float | None) -> dict[str, Any]:
    """The motion of one rollout, as JSON.

    Args:
        result: of the rollout.
        action: what its actions are.
        rate_hz: commands per second.
        fastest: speed of the demonstrations [m/s]; None where it is not known.

    Returns:
        Of each chunk the `chunk_motion`, such as `chunk_jerk_m_per_s3`; `commands`, how many there were. Of poses also
        `border_jump_m` and `border_jump_rad` of each place where chunks join, and how many are `fast_commands`, which
        is None for joints.
    """
    # Four steps are the fewest that have a jerk.
    each = [chunk_motion(chunk[None], action, rate_hz) for chunk in result.chunks if len(chunk) >= 4]
    # A step on either side belongs to a jump.
    last = len(result.commands) - 1
    borders = np.arange(result.n_action_steps + result.committed, last, max(1, result.n_action_steps))
    borders = borders[borders >= 2]
    poses = action == "ee_pose"
    jumps = step_jumps(result.commands, borders) if poses and len(borders) else {}
    found: dict[str, Any] = {}
    for name in each[0] if each else ():
        found[f"chunk_{name}"] = _rounded(np.concatenate([chunk[name] for chunk in each]))
    found |= {f"border_{name}": _rounded(values) for name, values in jumps.items()}
    found["commands"] = len(result.commands)
    fast = fast_steps(result.commands, rate_hz, fastest) if poses and fastest is not None else None
    found["fast_commands"] = fast
    return found


def joined_motion(rollouts: Sequence[Mapping[str, Any]], demonstrated: Mapping[str, float]) -> dict[str, Any]:
    """The motion of all rollouts beside the demonstrations': entries of a result.

    Args:
        rollouts: of each, what `rollout_motion` gave.
        demonstrated: what `smoothness.describe_motion` gave of the demonstrations; empty where it is not known.

    Returns:
        `chunk_*`, medians over chunks; `border_jump_m` and `border_jump_rad`, 95th percentiles over the places where
        chunks join; `fast_commands`, the share of commands that go faster than any demonstration. Beside them
        `demonstration_*`: means over all steps, 95th percentiles of the jumps of every step, and the highest speed.
    """
    names = sorted({name for one in rollouts for name, value in one.items() if isinstance(value, list)})
    found: dict[str, Any] = {}
    for name in names:
        values = np.concatenate([np.asarray(one.get(name, []), np.float64) for one in rollouts])
        found[name] = float(np.percentile(values, 95 if name.startswith("border") else 50)) if values.size else None
    fast = [one["fast_commands"] for one in rollouts]
    steps = sum(one["commands"] for one in rollouts)
    found["fast_commands"] = None if None in fast or not steps else sum(fast) / steps
    return found | {f"demonstration_{name}": value for name, value in demonstrated.items()}


def describe(result: Mapping[str, Any]) -> str:
    """A result's motion beside the demonstrations', in a few words; nothing where it is not known."""
    theirs, ours = result.get("demonstration_jerk_m_per_s3"), result.get("chunk_jerk_m_per_s3")
    if theirs is None or ours is None:
        return ""
    jump = result.get("border_jump_m")
    joins = "" if jump is None else f", jumps between chunks {1e3 * jump:.1f} mm"
    return f" (jerk {ours:.1f} m/s^3, the demonstrations' {theirs:.1f}{joins})"


def _rounded(values: np.ndarray[Any, Any]) -> list[float]:
    return [round(float(value), _DIGITS) for value in values]
