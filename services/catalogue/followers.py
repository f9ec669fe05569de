"""Joints off the arm that follow one of its joints (<mimic>): levers and rods of a linkage, covers, cable chains."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from services.catalogue.chain import joint_limits
from services.catalogue.urdf import Joint, Urdf
from services.catalogue.urdf_reader import numbers
from shared.errors import RobotError

GREATEST_FOLLOWED = 500.0
"""Farthest that a joint may follow [rad or m]."""
_ATTRIBUTES = (("multiplier", "1"), ("offset", "0"))


@dataclass(frozen=True)
class Follower:
    """A joint whose position is multiplier * q + offset [rad or m], q being that of an arm's joint.

    Attributes:
        joint: the joint that follows.
        source: number of the arm's joint, from 0.
        multiplier: of its position; not 0.
        offset: at its 0.
    """

    joint: Joint
    source: int
    multiplier: float
    offset: float

    def span(self, lower: float, upper: float) -> tuple[float, float]:
        """Least and greatest position, for those of the arm's joint."""
        ends = sorted(self.multiplier * end + self.offset for end in (lower, upper))
        return ends[0], ends[1]


def followed(urdf: Urdf, joint: Joint) -> tuple[str, float, float] | None:
    """The joint that one follows in the end, through others that follow it, with multiplier and offset.

    None if it follows none, or a <mimic> on the way has no such joint, no finite numbers or leads round in a circle.
    """
    multiplier, offset, seen, current = 1.0, 0.0, {joint.name}, joint
    while current.mimic:
        factor, shift = (numbers(current.mimic.get(name, default), 1) for name, default in _ATTRIBUTES)
        following = urdf.joints.get(current.mimic.get("joint", ""))
        if factor is None or shift is None or following is None or following.name in seen:
            return None
        multiplier, offset = multiplier * factor[0], multiplier * shift[0] + offset
        seen.add(following.name)
        current = following
    if current is joint or not (math.isfinite(multiplier) and math.isfinite(offset)):
        return None
    return current.name, multiplier, offset


def followers(urdf: Urdf, moving: Sequence[Joint]) -> tuple[Follower, ...]:
    """The joints off the arm that follow it, those nearer to the root first.

    Joints that carry the arm's base are held: the base does not move.

    Raises:
        RobotError: one follows farther than can be computed with.
    """
    number = {joint.name: index for index, joint in enumerate(moving)}
    carrying = {joint.name for joint in urdf.path(urdf.root, moving[0].parent)}
    found = []
    for joint in urdf.joints.values():
        if joint.name in number or joint.name in carrying or joint.kind not in ("revolute", "continuous", "prismatic"):
            continue
        follows = followed(urdf, joint)
        if follows is None or follows[0] not in number or not follows[1]:
            continue
        source = number[follows[0]]
        follower = Follower(joint, source, follows[1], follows[2])
        lower, upper, _ = joint_limits(urdf, moving[source])
        if max(map(abs, follower.span(lower, upper))) > GREATEST_FOLLOWED:
            raise RobotError(
                f"{urdf.where}, line {joint.line}: joint {joint.name!r} mimics {follows[0]!r} beyond "
                f"{GREATEST_FOLLOWED:g} rad or m; correct its multiplier and offset"
            )
        found.append(follower)
    depth = {follower.joint.name: len(urdf.path(urdf.root, follower.joint.child)) for follower in found}
    return tuple(sorted(found, key=lambda follower: depth[follower.joint.name]))
