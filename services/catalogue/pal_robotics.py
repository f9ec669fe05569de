"""PAL Robotics' TIAGo (its arm without a hand) and TIAGo Pro (its left arm with gripper); seven revolute joints."""

import math

from services.catalogue.arm import Arm, Tool
from services.catalogue.default_limits import RULE, default_acceleration, default_jerk
from services.catalogue.example_robot_data import robot_files
from services.catalogue.urdf import Origin

_TIAGO_ACCELERATION = default_acceleration([2.7, 3.66, 4.58, 4.58, 1.95, 1.76, 1.76])
_TIAGO_PRO_ACCELERATION = default_acceleration([2.5] * 7)
_SOFT = "soft limits (safety_controller) are not kept: joints use the whole range of the maker's URDF"

TIAGO = Arm(
    name="tiago",
    title="PAL Robotics TIAGo, arm without hand, torso held",
    files=robot_files("tiago_description/robots/tiago_no_hand.urdf"),
    base_frame="torso_lift_link",
    tool_frame="flange",
    # The wrist's tool frame points along its x axis.
    tool=Tool("wrist_ft_tool_link", Origin((0.0, 0.0, 0.0), (0.0, math.pi / 2, 0.0))),
    acceleration=_TIAGO_ACCELERATION,
    jerk=default_jerk(_TIAGO_ACCELERATION),
    limits_source=RULE,
    home=(1.0, 0.3, -0.9, 1.8, 0.2, -0.85, -0.1),
    rest=(("torso_lift_joint", 0.15),),
    notes=(_SOFT,),
)

TIAGO_PRO = Arm(
    name="tiago_pro",
    title="PAL Robotics TIAGo Pro, left arm with gripper, torso held",
    files=robot_files("tiago_pro_description/robots/tiago_pro.urdf"),
    base_frame="torso_lift_link",
    tool_frame="grasp",
    # Near the tips of the fingers.
    tool=Tool("gripper_left_base_link", Origin((0.0, 0.0, 0.14))),
    acceleration=_TIAGO_PRO_ACCELERATION,
    jerk=default_jerk(_TIAGO_PRO_ACCELERATION),
    limits_source=RULE,
    home=(2.9, -2.0, -0.8, -1.9, 0.2, -1.35, 0.0),
    rest=(("torso_lift_joint", 0.15),),
    notes=(_SOFT,),
)
