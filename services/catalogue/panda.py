"""Franka Emika Panda with its hand; seven revolute joints."""

from services.catalogue.arm import Arm
from services.catalogue.example_robot_data import robot_files

PANDA = Arm(
    name="panda",
    title="Franka Emika Panda with hand",
    files=robot_files("panda_description/urdf/panda.urdf", srdf="panda_description/srdf/panda.srdf"),
    base_frame="panda_link0",
    tool_frame="panda_hand_tcp",
    acceleration=(15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0),
    jerk=(7500.0, 3750.0, 5000.0, 6250.0, 7500.0, 10000.0, 10000.0),
    limits_source=(
        "Franka Emika, Robot and interface specifications, 'Limits for Panda', joint space "
        "(https://frankaemika.github.io/docs/control_parameters.html#limits-for-panda)"
    ),
    # The "ready" posture of Franka's own examples.
    home=(0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398),
    # Fingers half open, as wide as they are while an object is held or approached.
    rest=(("panda_finger_joint1", 0.02), ("panda_finger_joint2", 0.02)),
)
