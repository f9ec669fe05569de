"""Kinova's Jaco 2 (j2s6s200) with two fingers; six joints, three of them without end."""

import math

from services.catalogue.arm import Arm, Tool
from services.catalogue.default_limits import RULE, default_acceleration, default_jerk
from services.catalogue.example_robot_data import robot_files
from services.catalogue.urdf import Origin

_ACCELERATION = default_acceleration([0.628318530718] * 3 + [0.837758040957] * 3)

KINOVA = Arm(
    name="kinova",
    title="Kinova Jaco 2, 6 DoF, two fingers (j2s6s200)",
    files=robot_files("kinova_description/robots/kinova.urdf"),
    base_frame="j2s6s200_link_base",
    tool_frame="grasp",
    # The URDF's end effector frame lies at the tips of the fingers, which point along its x axis.
    tool=Tool("j2s6s200_end_effector", Origin((0.0, 0.0, 0.0), (0.0, math.pi / 2, 0.0))),
    acceleration=_ACCELERATION,
    jerk=default_jerk(_ACCELERATION),
    limits_source=RULE,
    home=(-math.pi / 2, 3.5, 1.65, 0.0, 4.433, 0.0),
)
