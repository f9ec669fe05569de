"""Limits that a URDF states beside position and velocity: soft ones, and those of URDF 1.2."""

from collections.abc import Sequence
from dataclasses import replace

from services.catalogue.chain import joint_limits
from services.catalogue.urdf import Joint, Urdf
from services.catalogue.urdf_reader import numbers

STATED = {"acceleration": ("acceleration", "deceleration"), "jerk": ("jerk",)}
"""Attributes of <limit> in URDF 1.2, by what they limit. An arm has one limit for both signs: the lower one."""


def stated_limits(moving: Sequence[Joint], what: str) -> tuple[float | None, ...]:
    """The greatest acceleration or jerk of each joint, where its <limit> states one above 0; else None."""
    limits: list[float | None] = []
    for joint in moving:
        texts = [joint.limit[name] for name in STATED[what] if name in joint.limit]
        values = [value[0] for value in (numbers(text, 1) for text in texts) if value is not None and value[0] > 0]
        limits.append(min(values) if values else None)
    return tuple(limits)


def with_soft_limits(urdf: Urdf, moving: Sequence[Joint], keep: bool) -> tuple[Urdf, list[str]]:
    """The URDF whose arm stays within its soft limits (<safety_controller>), and notes on what was done.

    Args:
        urdf: as read.
        moving: the arm's joints.
        keep: else they are only noted.

    Raises:
        RobotError: a joint has no limits that can be used.
    """
    kept, left, changed = [], [], dict(urdf.joints)
    for joint in moving:
        lower, upper, _ = joint_limits(urdf, joint)
        soft = _soft_range(joint)
        if soft is None:
            continue
        low, high = max(lower, soft[0]), min(upper, soft[1])
        if (low, high) == (lower, upper):
            continue
        said = f"{joint.name} {soft[0]:g} to {soft[1]:g}"
        if not keep or low >= high:
            left.append(said + (", which is no range" if low >= high else ""))
            continue
        kept.append(f"{joint.name} {low:g} to {high:g}")
        kind = "revolute" if joint.kind == "continuous" else joint.kind
        limit = {**joint.limit, "lower": repr(low), "upper": repr(high)}
        changed[joint.name] = replace(joint, kind=kind, limit=limit)
    notes = []
    if kept:
        notes.append(f"soft limits (safety_controller) are kept, where they are narrower: {', '.join(kept)}")
    if left:
        notes.append(f"soft limits (safety_controller) are not kept: {', '.join(left)}")
    return replace(urdf, joints=changed), notes


def _soft_range(joint: Joint) -> tuple[float, float] | None:
    """Soft limits of a joint; one that is left out does not limit. None where both are, or one is no number."""
    ends = []
    for name, default in (("soft_lower_limit", float("-inf")), ("soft_upper_limit", float("inf"))):
        value = numbers(joint.safety[name], 1) if name in joint.safety else (default,)
        if value is None:
            return None
        ends.append(value[0])
    return ends[0], ends[1]
