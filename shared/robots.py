"""What both programs know of a robot: names, limits, frames.

The one implementation is headstart_client.data.robots.
"""

from headstart_client.data.robots import JointLimits, RobotSpec

__all__ = ["JointLimits", "RobotSpec"]
