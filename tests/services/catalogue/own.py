"""A small robot of a user's own, and what describes it: every kind of joint and of shape, and no mesh."""

from services.catalogue import Arm
from services.catalogue.mesh_sources import MeshSource
from services.catalogue.own_arm import ArmOptions, own_arm

GANTRY = """<?xml version="1.0"?>
<robot name="gantry">
  <link name="floor"><collision><origin xyz="0 0 -0.06"/><geometry><box size="2 2 0.1"/></geometry></collision></link>
  <link name="carriage"><collision><geometry><box size="0.2 0.2 0.2"/></geometry></collision></link>
  <link name="shoulder">
    <collision><origin xyz="0 0 0.1"/><geometry><cylinder radius="0.05" length="0.2"/></geometry></collision>
  </link>
  <link name="upper">
    <collision>
      <origin xyz="0.15 0 0" rpy="0 1.5708 0"/><geometry><capsule radius="0.04" length="0.3"/></geometry>
    </collision>
  </link>
  <link name="fore">
    <collision><origin xyz="0.1 0 0"/><geometry><sphere radius="0.05"/></geometry></collision>
  </link>
  <link name="wrist"/><link name="hand"/><link name="tool"/>
  <link name="left"><collision><geometry><box size="0.02 0.02 0.06"/></geometry></collision></link>
  <link name="right"/>
  <joint name="rail" type="prismatic">
    <parent link="floor"/><child link="carriage"/><origin xyz="0 0 0.2"/><axis xyz="0 1 0"/>
    <limit lower="-0.4" upper="0.4" velocity="1" effort="10"/>
  </joint>
  <joint name="turn" type="continuous">
    <parent link="carriage"/><child link="shoulder"/><origin xyz="0 0 0.1"/><axis xyz="0 0 1"/>
    <limit velocity="2" effort="10"/>
  </joint>
  <joint name="lift" type="revolute">
    <parent link="shoulder"/><child link="upper"/><origin xyz="0 0 0.2"/><axis xyz="0 1 0"/>
    <limit lower="-1.5" upper="1.2" velocity="2" effort="10"/>
  </joint>
  <joint name="elbow" type="revolute">
    <parent link="upper"/><child link="fore"/><origin xyz="0.3 0 0"/><axis xyz="0 -1 0"/>
    <limit lower="-2.4" upper="2.4" velocity="2.5" effort="10"/>
  </joint>
  <joint name="roll" type="revolute">
    <parent link="fore"/><child link="wrist"/><origin xyz="0.2 0 0" rpy="0.1 0 0"/><axis xyz="1 0 0"/>
    <limit lower="-3" upper="3" velocity="3" effort="10"/>
  </joint>
  <joint name="pitch" type="revolute">
    <parent link="wrist"/><child link="hand"/><origin xyz="0.05 0 0"/><axis xyz="0 0.6 0.8"/>
    <limit lower="-1.8" upper="1.8" velocity="3" effort="10"/>
  </joint>
  <joint name="mount" type="fixed">
    <parent link="hand"/><child link="tool"/><origin xyz="0.1 0 0" rpy="0 1.5708 0"/>
  </joint>
  <joint name="finger" type="prismatic">
    <parent link="hand"/><child link="left"/><origin xyz="0.08 0 0"/><axis xyz="0 1 0"/>
    <limit lower="0.01" upper="0.04" velocity="0.1" effort="10"/>
  </joint>
  <joint name="follower" type="prismatic">
    <parent link="hand"/><child link="right"/><origin xyz="0.08 0 0"/><axis xyz="0 1 0"/>
    <limit lower="-0.04" upper="0" velocity="0.1" effort="10"/>
    <mimic joint="finger" multiplier="-1" offset="-0.002"/>
  </joint>
</robot>
"""


def own(text: str = GANTRY, tip: str = "tool", meshes: MeshSource | None = None, **said: object) -> Arm:
    """The arm that a URDF describes."""
    return own_arm(text.encode(), "own.urdf", ArmOptions(tip, **said), meshes)  # type: ignore[arg-type]
