"""Universal Robots' UR3, UR5 and UR10 without a gripper; six revolute joints of up to two turns."""

import math

from services.catalogue.arm import Arm
from services.catalogue.default_limits import RAMP_S, default_jerk
from services.catalogue.example_robot_data import robot_files

_ACCELERATION = (5.0,) * 6
_LIMITS_SOURCE = (
    "acceleration: Universal Robots' own ur_moveit_config, joint_limits.yaml (the joints themselves are limited by "
    f"torque); jerk: default rule, acceleration / {RAMP_S} s"
)
# The elbow up, the flange pointing down.
_HOME = (0.0, -math.pi / 2, math.pi / 2, -math.pi / 2, -math.pi / 2, 0.0)


def _ur(model: str) -> Arm:
    return Arm(
        name=f"ur{model}",
        title=f"Universal Robots UR{model}",
        # The three are built alike, with the same names of links: the UR5's SRDF is right for all.
        files=robot_files(f"ur_description/urdf/ur{model}_robot.urdf", srdf="ur_description/srdf/ur5.srdf"),
        base_frame="base_link",
        tool_frame="tool0",
        acceleration=_ACCELERATION,
        jerk=default_jerk(_ACCELERATION),
        limits_source=_LIMITS_SOURCE,
        home=_HOME,
    )


UR3, UR5, UR10 = _ur("3"), _ur("5"), _ur("10")
