"""UFACTORY's xArm 7 without a gripper; seven revolute joints."""

from services.catalogue.arm import Arm
from services.catalogue.example_robot_data import robot_files

XARM7 = Arm(
    name="xarm7",
    title="UFACTORY xArm 7",
    files=robot_files("xarm_description/urdf/xarm7.urdf", srdf="xarm_description/srdf/xarm7.srdf"),
    base_frame="link_base",
    tool_frame="link_eef",
    acceleration=(20.0,) * 7,
    jerk=(500.0,) * 7,
    limits_source=(
        "UFACTORY, 'Guide to run robotic arm at the maximum speed': joint motion 1146 deg/s^2 and 28647 deg/s^3 "
        "(https://github.com/xArm-Developer/ufactory_docs)"
    ),
    home=(0.0, 0.0, 0.0, 0.7, 0.0, 0.7, 0.0),
)
