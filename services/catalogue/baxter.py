"""Rethink Robotics' Baxter, its left arm with gripper; seven revolute joints."""

from services.catalogue.arm import Arm
from services.catalogue.default_limits import RULE, default_acceleration, default_jerk
from services.catalogue.example_robot_data import robot_files

_ACCELERATION = default_acceleration([1.5] * 4 + [4.0] * 3)

BAXTER = Arm(
    name="baxter",
    title="Rethink Robotics Baxter, left arm with gripper",
    files=robot_files("baxter_description/urdf/baxter.urdf", srdf="baxter_description/srdf/baxter_manipulation.srdf"),
    base_frame="base",
    tool_frame="left_gripper",
    acceleration=_ACCELERATION,
    jerk=default_jerk(_ACCELERATION),
    limits_source=RULE,
    # Rethink's "neutral" posture.
    home=(0.0, -0.55, 0.0, 0.75, 0.0, 1.26, 0.0),
    rest=(("l_gripper_l_finger_joint", 0.01), ("l_gripper_r_finger_joint", -0.01)),
)
