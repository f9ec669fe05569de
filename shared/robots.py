"""What both programs know of a robot: names, limits, frames.

The one implementation is headstart_client.data.robots, and of limits headstart_client.limits.
"""

from headstart_client.data.robots import RobotSpec
from headstart_client.limits import JointLimits

__all__ = ["JointLimits", "RobotSpec"]
