"""The arms the service knows: one module of data for each."""

from services.catalogue.arm import Arm
from services.catalogue.panda import PANDA
from shared.errors import RobotError

ARMS: dict[str, Arm] = {arm.name: arm for arm in (PANDA,)}


def find_arm(name: str) -> Arm:
    """The catalogue entry called `name`. Raises RobotError naming those there are."""
    if name not in ARMS:
        raise RobotError(f"unknown robot {name!r}; the catalogue has {', '.join(sorted(ARMS))}")
    return ARMS[name]


__all__ = ["ARMS", "Arm", "find_arm"]
