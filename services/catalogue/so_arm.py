"""The Robot Studio's SO-100 and SO-101 with their grippers; five revolute joints."""

import math

from services.catalogue.arm import Arm, Tool
from services.catalogue.default_limits import RULE, default_acceleration, default_jerk
from services.catalogue.example_robot_data import robot_files
from services.catalogue.urdf import Origin

_SO100_ACCELERATION = default_acceleration([1.0] * 5)
_SO101_ACCELERATION = default_acceleration([10.0] * 5)

SO100 = Arm(
    name="so100",
    title="The Robot Studio SO-100",
    files=robot_files("so_arm_description/urdf/so100.urdf"),
    base_frame="base",
    tool_frame="grasp",
    # Between the tips of the jaws, as far from the wrist as the frame that the SO-101's URDF has there.
    tool=Tool("gripper", Origin((0.0, -0.098, 0.0), (math.pi / 2, 0.0, 0.0))),
    acceleration=_SO100_ACCELERATION,
    jerk=default_jerk(_SO100_ACCELERATION),
    limits_source=RULE,
    home=(0.0, 1.8, -1.4, 0.83, 0.0),
    rest=(("gripper", 0.5),),
    notes=("the URDF has no collision geometry for the gripper, so only the rest of the arm is checked",),
)

SO101 = Arm(
    name="so101",
    title="The Robot Studio SO-101",
    files=robot_files("so_arm_description/urdf/so101.urdf"),
    base_frame="base_link",
    tool_frame="gripper_frame_link",
    acceleration=_SO101_ACCELERATION,
    jerk=default_jerk(_SO101_ACCELERATION),
    limits_source=RULE,
    home=(0.0, -0.4, 0.77, 1.2, 0.0),
    rest=(("gripper", 0.5),),
)
