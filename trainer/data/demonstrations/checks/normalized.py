"""Whether joints that are said to be angles look like numbers of a calibrated range, -100 to 100."""

from collections.abc import Mapping as Dict
from collections.abc import Sequence

import numpy as np

from trainer.data.demonstrations.checks.implausible import Implausible, Ranges
from trainer.data.demonstrations.mapping.mapping import Action, Mapping, State
from trainer.data.demonstrations.mapping.motion import RawEpisode

LIMIT = 100.0
"""What LeRobot's calibrated motors go up to, to either side."""
_ROUNDING = 0.05
NEAR_END = 90.0
"""A joint that gets this far is near the end of its range, if the numbers are normalized."""
LEAST_JOINTS = 2
"""So many joints near an end, none of them beyond it, are no chance."""


def looks_normalized(raws: Sequence[RawEpisode], mapping: Mapping, *, least: int = LEAST_JOINTS) -> str | None:
    """What is found where so many joints reach near -100 or 100 and none goes beyond; None else.

    Args:
        raws: the episodes.
        mapping: only absolute joints in degrees or radians are looked at.
        least: joints that must be near an end.
    """
    for part in (mapping.action, mapping.state):
        joints = part.joint_position
        if joints is None or joints.unit == "normalized" or _is_delta(part):
            continue
        values = np.concatenate([raw.select(joints.columns) for raw in raws])
        furthest = np.abs(values).max(axis=0)
        near = np.flatnonzero(furthest >= NEAR_END)
        if furthest.max() > LIMIT + _ROUNDING or len(near) < least:
            continue
        at = [f"joint {j + 1} from {values[:, j].min():.1f} to {values[:, j].max():.1f}" for j in near]
        return f"'{joints.columns}' holds numbers from -100 to 100, {' and '.join(at)}"
    return None


def require_angles(raws: Sequence[RawEpisode], mapping: Mapping, ranges: Ranges) -> None:
    """Raises Implausible where joints look normalized, unless it is known where the robot's may be.

    With the action range, they are compared with that: what lies inside it may well be angles.
    """
    if "joint_position" in ranges or "normalized" in mapping.accept:
        return
    if (found := looks_normalized(raws, mapping)) is not None:
        raise Implausible("normalized", found, remedy=_how_to_write(mapping, None))


def instead_of_range(problem: Implausible, raws: Sequence[RawEpisode], mapping: Mapping, ranges: Ranges) -> Implausible:
    """The problem, or where joints leave their range and look normalized, that."""
    said_not = "normalized" in mapping.accept or mapping.action.joint_position is None
    if said_not or problem.assumption not in ("range", "degrees"):
        return problem
    known = ranges.get("joint_position")
    found = looks_normalized(raws, mapping, least=LEAST_JOINTS if known is None else 1)
    if found is None:
        return problem
    return Implausible("normalized", f"{found}; as angles, {problem}", remedy=_how_to_write(mapping, known))


def _how_to_write(mapping: Mapping, limits: Dict[str, Sequence[float]] | None) -> str:
    """The entry of a mapping that reads joints as normalized ones, with the robot's limits where they are known."""
    joints = mapping.action.joint_position or mapping.state.joint_position
    assert joints is not None
    low, high = "[...]", "[...]"
    if limits is not None:
        low, high = ("[" + ", ".join(f"{value:.4g}" for value in limits[end]) + "]" for end in ("min", "max"))
    text = f'joint_position = {{columns = "{joints.columns}", unit = "normalized", low = {low}, high = {high}}}'
    both = " in action, and alike in state" if mapping.state.joint_position and mapping.action.joint_position else ""
    return f"write {text}{both}, where low and high are the ends of each joint's calibrated range [rad]"


def _is_delta(part: Action | State) -> bool:
    return isinstance(part, Action) and part.mode == "delta"
