"""What an executor tells of itself."""

from typing import Literal, NamedTuple

import numpy as np

from headstart_client.limits import Array

EventKind = Literal["followed", "slowed", "stopped", "rested", "refused", "dropped"]


class Event(NamedTuple):
    """Something that changed how the policy is followed.

    Attributes:
        time: of the tick [s].
        kind: `followed`: chunks are carried out in time (again). `slowed`: limits keep the arm behind the policy.
            `stopped`: it began to stop. `rested`: it stands. `refused`: a chunk was nonsense. `dropped`: a chunk came
            too late to be of use.
        reason: in words, with numbers.
    """

    time: float
    kind: EventKind
    reason: str


class Command(NamedTuple):
    """What the arm's joints are to do, and when.

    Attributes:
        time: [s], on the clock of the caller of tick.
        position: (dof,) [rad] or [m]
        velocity: (dof,) [rad/s] or [m/s]
        acceleration: (dof,) [rad/s^2] or [m/s^2]
        gripper: as the policy says it; None before it has said anything.
        following: whether a chunk is being carried out; otherwise the arm stops or stands.
    """

    time: float
    position: Array
    velocity: Array
    acceleration: Array
    gripper: float | None
    following: bool

    def state(self) -> Array:
        """(3, dof): position, velocity and acceleration."""
        return np.stack([self.position, self.velocity, self.acceleration])
