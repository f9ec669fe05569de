"""A robot's reachability table: seeded configurations and the poses of their tool, looked up for IK's starts."""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.robot_model import RobotModel
from shared.philox import philox_uniform

FloatArray = NDArray[np.float64]

TABLE_SIZE = 100_000
TABLE_SEED = 0


def seeded_configurations(robot: RobotModel) -> FloatArray:
    """TABLE_SIZE configurations uniform inside the robot's limits, the same on every machine, shape (n, dof) [rad]."""
    u = philox_uniform(TABLE_SEED, np.arange(TABLE_SIZE), 0, robot.dof)
    limits = robot.planning_limits
    return limits.lower + u * (limits.upper - limits.lower)
