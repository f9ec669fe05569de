"""The arms the service knows: modules of data, one for each maker's."""

from services.catalogue.arm import Arm, Tool
from services.catalogue.baxter import BAXTER
from services.catalogue.kinova import KINOVA
from services.catalogue.pal_robotics import TIAGO, TIAGO_PRO
from services.catalogue.panda import PANDA
from services.catalogue.so_arm import SO100, SO101
from services.catalogue.universal_robots import UR3, UR5, UR10
from services.catalogue.xarm import XARM7
from services.catalogue.z1 import Z1
from shared.errors import RobotError

ARMS: dict[str, Arm] = {
    arm.name: arm for arm in (PANDA, UR3, UR5, UR10, XARM7, SO100, SO101, Z1, KINOVA, TIAGO, TIAGO_PRO, BAXTER)
}


def find_arm(name: str) -> Arm:
    """The catalogue entry called `name`. Raises RobotError naming those there are."""
    if name not in ARMS:
        raise RobotError(f"unknown robot {name!r}; the catalogue has {', '.join(sorted(ARMS))}")
    return ARMS[name]


__all__ = ["ARMS", "Arm", "Tool", "find_arm"]
