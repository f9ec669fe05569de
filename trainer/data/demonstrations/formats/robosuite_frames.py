"""The frames of a robosuite demonstration, out of the scene that its file holds.

The scene is MJCF, a tree of bodies with their poses: what it says is enough, without the simulator. Commands of
OSC_POSE are of the grip site, in the world, or from robosuite 1.5 on in the frame of the robot's base unless its
settings say otherwise. Observed are the site's position (`eef_pos`) and the rotation of the hand's body (`eef_quat`),
which newer files have for the site too (`eef_quat_site`); all in the world.
"""

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np

from shared.rotation import quat_xyzw_to_matrix
from trainer.poses import PANDA_WRIST_TCP, Frames, Pose, compose, invert

COMMANDED, OBSERVED_SITE, OBSERVED_HAND = "commanded", "observed site", "observed hand"

_MOST_CHARACTERS = 20_000_000
_BASE, _WRIST, _HAND = "robot0_link0", "robot0_link7", "robot0_right_hand"
_SITES = ("gripper0_right_grip_site", "gripper0_grip_site")
_IDENTITY: Pose = (np.zeros(3), np.eye(3))


def robosuite_frames(model_file: str, env_args: Mapping[str, Any]) -> dict[str, Frames]:
    """The frames of commanded and observed poses of a robosuite scene with a Panda; empty where it is none."""
    if len(model_file) > _MOST_CHARACTERS:
        return {}
    try:
        world = ElementTree.fromstring(model_file).find("worldbody")
        base, wrist, hand = (_world_pose(world, "body", name) for name in (_BASE, _WRIST, _HAND))
        site = next(pose for name in _SITES if (pose := _world_pose(world, "site", name)) is not None)
    except (ElementTree.ParseError, ValueError, StopIteration):
        return {}
    if base is None or wrist is None or hand is None:
        return {}
    tcp = compose(wrist, PANDA_WRIST_TCP)
    of_site, of_hand = compose(invert(site), tcp), compose(invert((site[0], hand[1])), tcp)
    return {
        COMMANDED: Frames(_IDENTITY if _commands_in_base(env_args) else base, of_site),
        OBSERVED_SITE: Frames(base, of_site),
        OBSERVED_HAND: Frames(base, of_hand),
    }


def _commands_in_base(env_args: Mapping[str, Any]) -> bool:
    try:
        version = re.match(r"(\d+)\.(\d+)", str(env_args.get("env_version", "")))
        newer = version is not None and (int(version[1]), int(version[2])) >= (1, 5)
        arm = env_args["env_kwargs"]["controller_configs"]["body_parts"]["right"]
        return newer and arm.get("input_ref_frame", "base") == "base"
    except (KeyError, TypeError, AttributeError):
        return False


def _world_pose(parent: ElementTree.Element | None, tag: str, name: str) -> Pose | None:
    """The pose of a body or site in the world, at the joints' zero; None where it is not there."""
    for child in () if parent is None else parent:
        if child.tag == tag and child.get("name") == name:
            return _local_pose(child)
        if child.tag == "body" and (below := _world_pose(child, tag, name)) is not None:
            return compose(_local_pose(child), below)
    return None


def _local_pose(element: ElementTree.Element) -> Pose:
    """A body's or site's pose in its parent. Raises ValueError where its rotation is not a quaternion."""
    if {"euler", "axisangle", "xyaxes", "zaxis"} & set(element.keys()):
        raise ValueError(f"{element.get('name')} is not turned by a quaternion")
    position = np.array(element.get("pos", "0 0 0").split(), np.float64)
    w, x, y, z = (float(number) for number in element.get("quat", "1 0 0 0").split())
    if position.shape != (3,):
        raise ValueError(f"{element.get('name')} is not at a position")
    return position, quat_xyzw_to_matrix(np.array([x, y, z, w]))
