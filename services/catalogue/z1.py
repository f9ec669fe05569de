"""Unitree's Z1 with its gripper; six revolute joints."""

import math

from services.catalogue.arm import Arm, Tool
from services.catalogue.default_limits import RULE, default_acceleration, default_jerk
from services.catalogue.example_robot_data import robot_files
from services.catalogue.urdf import Origin

_ACCELERATION = default_acceleration([3.1415] * 6)

Z1 = Arm(
    name="z1",
    title="Unitree Z1 with gripper",
    files=robot_files("z1_description/urdf/z1.urdf"),
    base_frame="link00",
    tool_frame="grasp",
    # Near the tips of the gripper, which points along its x axis.
    tool=Tool("gripperStator", Origin((0.13, 0.0, 0.0), (0.0, math.pi / 2, 0.0))),
    acceleration=_ACCELERATION,
    jerk=default_jerk(_ACCELERATION),
    limits_source=RULE,
    # Unitree's own "forward" posture.
    home=(0.0, 1.5, -1.0, -0.54, 0.0, 0.0),
    rest=(("jointGripper", -0.5),),
)
