"""The joints that move an arm's tool, and their limits: what is supported, and what is refused by name."""

import math
from typing import NoReturn

from services.catalogue.urdf import Joint, Urdf
from services.catalogue.urdf_reader import numbers
from shared.errors import RobotError

MAX_DOF = 16
CONTINUOUS_RANGE = math.pi
"""A joint without limits (`continuous`) is given this much to either side [rad]: a whole turn."""
GREATEST_POSITION = 100.0
GREATEST_VELOCITY = 10_000.0


def moving_joints(urdf: Urdf, base: str, tip: str) -> tuple[Joint, ...]:
    """The joints that move `tip` against `base`, in order. Every other joint is held.

    Raises:
        RobotError: there is no such way down the tree, none or too many joints on it, or one that is not supported.
    """
    moving = tuple(joint for joint in urdf.path(base, tip) if joint.kind != "fixed")
    for joint in moving:
        if joint.kind in ("floating", "planar"):
            _refuse(urdf, joint, f"is {joint.kind}; an arm's joints are revolute, continuous or prismatic")
        if joint.mimic:
            _refuse(
                urdf, joint, f"mimics {joint.mimic.get('joint', '')[:128]!r}; the joints of an arm move on their own"
            )
    if not moving:
        raise RobotError(f"{urdf.where}: no joint moves {tip!r} against {base!r}")
    if len(moving) > MAX_DOF:
        raise RobotError(f"{urdf.where}: {len(moving)} joints move {tip!r} against {base!r}; at most {MAX_DOF} may")
    return moving


def joint_limits(urdf: Urdf, joint: Joint) -> tuple[float, float, float]:
    """Lower and upper position and greatest speed of a moving joint [rad, rad/s], or [m, m/s] if prismatic.

    Raises:
        RobotError: one is missing, not a finite number, or makes no sense.
    """
    if not joint.limit:
        _refuse(urdf, joint, f"has no <limit>; one that is {joint.kind} needs one with {_needed(joint)}")
    if joint.limit.keys() >= {"lower", "upper", "velocity"} and not any(
        _limit(urdf, joint, name) for name in ("lower", "upper", "velocity")
    ):
        _refuse(urdf, joint, "has limits that are all 0, as exporters write what nobody set; write the real ones")
    lower, upper = (-CONTINUOUS_RANGE, CONTINUOUS_RANGE) if joint.kind == "continuous" else _range(urdf, joint)
    velocity = _limit(urdf, joint, "velocity")
    if not 0 < velocity <= GREATEST_VELOCITY:
        unit = "m/s" if joint.kind == "prismatic" else "rad/s"
        _refuse(
            urdf,
            joint,
            f"has velocity limit {velocity:g}; it must be above 0 and at most {GREATEST_VELOCITY:g}: write its "
            f"greatest speed [{unit}]",
        )
    return lower, upper, velocity


def _range(urdf: Urdf, joint: Joint) -> tuple[float, float]:
    """Lower and upper limit of a joint that has such. Raises RobotError."""
    unit = "m" if joint.kind == "prismatic" else "rad"
    endless = ', or give it type="continuous" if it turns without end' if joint.kind == "revolute" else ""
    given = [name for name in ("lower", "upper") if name in joint.limit]
    if not given:
        _refuse(urdf, joint, f"has no range: its <limit> has neither lower nor upper; write both [{unit}]{endless}")
    # The URDF's own default is 0.
    lower, upper = (_limit(urdf, joint, name, "0") for name in ("lower", "upper"))
    if lower == upper and len(given) == 2:
        _refuse(
            urdf,
            joint,
            f"has no range: lower and upper limit are both {lower:g}; make it a fixed joint if it can't move, else "
            f"write its range [{unit}]{endless}",
        )
    if lower == upper:
        (missing,) = {"lower", "upper"} - set(given)
        _refuse(urdf, joint, f"has no range: {given[0]} limit is 0, and so is {missing}, which is left out; write it")
    if lower > upper:
        _refuse(urdf, joint, f"has its limits reversed: lower is {lower:g}, upper is {upper:g}; exchange them")
    if max(-lower, upper) > GREATEST_POSITION:
        _refuse(urdf, joint, f"has a limit beyond {GREATEST_POSITION:g}; state the range it really has{endless}")
    return lower, upper


def _limit(urdf: Urdf, joint: Joint, name: str, default: str = "") -> float:
    text = joint.limit.get(name, default)
    values = numbers(text, 1)
    if values is None:
        missing = f"has no {name} limit" if not text else f"has {name} limit {text[:60]!r}, which is no finite number"
        endless = '; give it type="continuous" if it turns without end' if joint.kind == "revolute" and text else ""
        _refuse(urdf, joint, f"{missing}; <limit> of one that is {joint.kind} needs {_needed(joint)}{endless}")
    return values[0]


def _needed(joint: Joint) -> str:
    return "velocity" if joint.kind == "continuous" else "lower, upper and velocity"


def _refuse(urdf: Urdf, joint: Joint, why: str) -> NoReturn:
    raise RobotError(f"{urdf.where}, line {joint.line}: joint {joint.name!r} {why}")
