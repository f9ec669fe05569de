"""Writes what was read of a URDF anew: only values that were checked, in a form of our own.

An arm's joints stay as they are; a continuous one becomes a revolute one with the range it is given. Those that follow
one of them still do, without others in between. All others become fixed where they are held.
"""

from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

import numpy as np
import pinocchio as pin

from services.catalogue.chain import joint_limits
from services.catalogue.followers import followers
from services.catalogue.urdf import Joint, Origin, Shape, Urdf


def urdf_text(urdf: Urdf, moving: tuple[Joint, ...], rest: Mapping[str, float], meshes: Mapping[str, str]) -> str:
    """The URDF of an arm.

    Args:
        urdf: as read.
        moving: the arm's joints.
        rest: positions at which joints off the arm are held [rad or m]; 0 where not named.
        meshes: file name that each mesh is given; shapes of other meshes are left out.
    """
    lines = ['<?xml version="1.0"?>', f"<robot name={quoteattr(urdf.name)}>"]
    for name, shapes in urdf.links.items():
        kept = [shape for shape in shapes if shape.kind != "mesh" or shape.mesh in meshes]
        body = "".join(_collision(shape, meshes) for shape in kept)
        lines.append(f"  <link name={quoteattr(name)}" + (f">{body}\n  </link>" if body else "/>"))
    moves_by = {joint.name: _motion(joint, *joint_limits(urdf, joint)) for joint in moving}
    for one in followers(urdf, moving):
        lower, upper, velocity = joint_limits(urdf, moving[one.source])
        motion = _motion(one.joint, *one.span(lower, upper), abs(one.multiplier) * velocity)
        source = quoteattr(moving[one.source].name)
        mimic = f'<mimic joint={source} multiplier="{one.multiplier!r}" offset="{one.offset!r}"/>'
        moves_by[one.joint.name] = f"{motion}\n    {mimic}"
    for joint in urdf.joints.values():
        moves = moves_by.get(joint.name, "")
        kind = joint.kind if joint.kind == "prismatic" else "revolute"
        origin = joint.origin if moves else _held(joint, rest.get(joint.name, 0.0))
        lines += [
            f"  <joint name={quoteattr(joint.name)} type={quoteattr(kind if moves else 'fixed')}>",
            f"    <parent link={quoteattr(joint.parent)}/><child link={quoteattr(joint.child)}/>",
            f"    {_origin(origin)}{moves}",
            "  </joint>",
        ]
    return "\n".join([*lines, "</robot>\n"])


def _motion(joint: Joint, lower: float, upper: float, velocity: float) -> str:
    # The effort is not used, but required.
    return (
        f'\n    <axis xyz="{_list(joint.axis)}"/>'
        f'\n    <limit lower="{lower!r}" upper="{upper!r}" velocity="{velocity!r}" effort="0"/>'
    )


def _held(joint: Joint, position: float) -> Origin:
    """Where a joint puts its child while it is held at a position."""
    if position == 0:
        return joint.origin
    axis = np.array(joint.axis) / np.linalg.norm(joint.axis)
    rotation = pin.rpy.rpyToMatrix(*joint.origin.rpy)
    if joint.kind == "prismatic":
        x, y, z = np.array(joint.origin.xyz) + rotation @ axis * position
        return Origin((float(x), float(y), float(z)), joint.origin.rpy)
    roll, pitch, yaw = pin.rpy.matrixToRpy(rotation @ pin.exp3(axis * position))
    return Origin(joint.origin.xyz, (float(roll), float(pitch), float(yaw)))


def _collision(shape: Shape, meshes: Mapping[str, str]) -> str:
    if shape.kind == "mesh":
        geometry = f'<mesh filename={quoteattr(meshes[shape.mesh])} scale="{_list(shape.size)}"/>'
    elif shape.kind == "box":
        geometry = f'<box size="{_list(shape.size)}"/>'
    elif shape.kind == "sphere":
        geometry = f'<sphere radius="{shape.size[0]!r}"/>'
    else:
        geometry = f'<cylinder radius="{shape.size[0]!r}" length="{shape.size[1]!r}"/>'
    return f"\n    <collision>{_origin(shape.origin)}<geometry>{geometry}</geometry></collision>"


def _origin(origin: Origin) -> str:
    return f'<origin xyz="{_list(origin.xyz)}" rpy="{_list(origin.rpy)}"/>'


def _list(values: tuple[float, ...]) -> str:
    return " ".join(map(repr, values))
