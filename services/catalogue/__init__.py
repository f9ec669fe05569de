"""The arms the service knows: modules of data, one for each maker's."""

from services.catalogue.arm import Arm, Tool
from services.catalogue.baxter import BAXTER
from services.catalogue.kinova import KINOVA
from services.catalogue.pal_robotics import TIAGO, TIAGO_PRO
from services.catalogue.panda import PANDA
from services.catalogue.robot_folder import read_robot
from services.catalogue.so_arm import SO100, SO101
from services.catalogue.universal_robots import UR3, UR5, UR10
from services.catalogue.xarm import XARM7
from services.catalogue.z1 import Z1
from shared.errors import RobotError
from shared.storage import Storage

ARMS: dict[str, Arm] = {
    arm.name: arm for arm in (PANDA, UR3, UR5, UR10, XARM7, SO100, SO101, Z1, KINOVA, TIAGO, TIAGO_PRO, BAXTER)
}


def find_arm(name: str) -> Arm:
    """The catalogue entry called `name`. Raises RobotError naming those there are."""
    if name not in ARMS:
        raise RobotError(f"unknown robot {name!r}; the catalogue has {', '.join(sorted(ARMS))}")
    return ARMS[name]


def arm_of(name: str, storage: Storage) -> Arm:
    """The arm called `name` of the dataset in `storage`: the catalogue's, or the user's that is kept beside it.

    Raises:
        RobotError: it is neither.
    """
    if name in ARMS:
        return ARMS[name]
    arm = read_robot(storage)
    if arm.name != name:
        raise RobotError(f"{storage.where}: the robot beside this dataset is {arm.name!r}, not {name!r}; restore it")
    return arm


__all__ = ["ARMS", "Arm", "Tool", "arm_of", "find_arm"]
