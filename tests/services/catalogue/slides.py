"""An arm of two slides, on which every distance is a number that can be read: a block goes along x, and along y.

At home the middle of its block, 2 cm long, is 10 cm from a block of the base, which is 20 cm thick; the tool is there.
"""

from services.synthesis.arm.robot_model import RobotModel, robot_model
from tests.services.catalogue.own import own

HALF = 0.01
"""Half of the block's edge [m]."""
BESIDE = 0.1
"""From the middle of the block, at home, to the side of the base's [m], along y."""
_SLIDES = """<?xml version="1.0"?>
<robot name="slides">
  <link name="base">
    <collision><origin xyz="0 0.2 0"/><geometry><box size="3 0.2 0.02"/></geometry></collision>
  </link>
  <link name="carriage"/>
  <link name="block"><collision><geometry><box size="0.02 0.02 0.02"/></geometry></collision></link>
  <link name="tool"/>
  <joint name="along" type="prismatic">
    <parent link="base"/><child link="carriage"/><axis xyz="1 0 0"/>
    <limit lower="-1" upper="1" velocity="1" effort="10"/>
  </joint>
  <joint name="across" type="prismatic">
    <parent link="carriage"/><child link="block"/><axis xyz="0 1 0"/>
    <limit lower="-1" upper="1" velocity="1" effort="10"/>
  </joint>
  <joint name="mount" type="fixed"><parent link="block"/><child link="tool"/></joint>
</robot>
"""


def slides() -> RobotModel:
    return robot_model(own(_SLIDES))
