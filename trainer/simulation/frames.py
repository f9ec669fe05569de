"""From robosuite's controlled site in the world to the tool centre point in the robot's base frame, and back.

robosuite drives the site `gripper0_right_grip_site`; trajectories are of `panda_hand_tcp`. Both are fixed to link 7,
whose frame is the same in robosuite's MJCF and in the URDF, so one constant transform joins them. It is read
from the compiled model rather than written down, because the MJCF's rounded quaternions turn the hand by 0.0282
degrees. Likewise the base: `robot0_link0` wherever the scene puts it.
"""

import mujoco

from trainer.poses import PANDA_WRIST_TCP, Frames, Pose, compose, invert

GRIP_SITE = "gripper0_right_grip_site"
BASE_BODY = "robot0_link0"
_WRIST_BODY = "robot0_link7"


def read_frames(data: mujoco.MjData) -> Frames:
    """The frames of a robosuite scene with a Panda, from kinematics already computed."""
    world_base = _body_pose(data, BASE_BODY)
    wrist_site = compose(invert(_body_pose(data, _WRIST_BODY)), site_pose(data, GRIP_SITE))
    return Frames(world_base, compose(invert(wrist_site), PANDA_WRIST_TCP))


def _body_pose(data: mujoco.MjData, name: str) -> Pose:
    body = data.body(name)
    return body.xpos.copy(), body.xmat.reshape(3, 3).copy()


def site_pose(data: mujoco.MjData, name: str) -> Pose:
    """The pose of a site in the world."""
    site = data.site(name)
    return site.xpos.copy(), site.xmat.reshape(3, 3).copy()
