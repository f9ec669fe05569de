"""What an arm's joints may do."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JointLimits:
    """Limits of each joint, arrays of shape (dof,).

    Attributes:
        lower: lowest position [rad], or [m] if prismatic.
        upper: highest position [rad] or [m].
        velocity: greatest |velocity| [rad/s] or [m/s].
        acceleration: greatest |acceleration| [rad/s^2] or [m/s^2].
        jerk: greatest |jerk| [rad/s^3] or [m/s^3].
    """

    lower: Array
    upper: Array
    velocity: Array
    acceleration: Array
    jerk: Array

    def __post_init__(self) -> None:
        for field in fields(self):
            values = np.array(getattr(self, field.name), np.float64)
            if values.ndim != 1 or values.shape != np.shape(self.lower):
                raise ValueError(f"limit {field.name!r} has shape {values.shape}; give one number for each joint")
            if not np.isfinite(values).all():
                raise ValueError(f"limit {field.name!r} is not finite: {values.tolist()}")
            if field.name not in ("lower", "upper") and not (values > 0).all():
                raise ValueError(f"limit {field.name!r} must be positive: {values.tolist()}")
            values.flags.writeable = False
            object.__setattr__(self, field.name, values)
        if not (self.lower < self.upper).all():
            raise ValueError(f"every lower limit must be below its upper: {self.lower.tolist()}, {self.upper.tolist()}")

    def scaled(self, speed_scale: float) -> "JointLimits":
        """Limits under a time dilation s: velocity s*v, acceleration s^2*a, jerk s^3*j."""
        s = speed_scale
        return JointLimits(self.lower, self.upper, s * self.velocity, s**2 * self.acceleration, s**3 * self.jerk)


class ArmLimits(JointLimits):
    """The limits that an executor keeps, of one joint at least."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.dof:
            raise ValueError("an arm has at least one joint; give one number for each")

    @property
    def dof(self) -> int:
        """Number of joints."""
        return self.lower.size

    @classmethod
    def from_robot(cls, robot: dict[str, Any]) -> "ArmLimits":
        """From `robot` as dataset.json and GET /v1/robots describe it. Raises ValueError if it has no such limits."""
        try:
            return cls(**{field.name: robot["limits"][field.name] for field in fields(cls)})
        except (KeyError, TypeError) as error:
            raise ValueError(f"this description of a robot has no limits as dataset.json has them: {error!r}") from None

    @classmethod
    def from_dataset(cls, folder: str | Path) -> "ArmLimits":
        """The limits of the robot of a dataset, from its dataset.json. Raises OSError, ValueError."""
        header = json.loads((Path(folder) / "dataset.json").read_text())
        return cls.from_robot(header.get("robot", {}) if isinstance(header, dict) else {})

    def within(self, lower: Sequence[float] | Array, upper: Sequence[float] | Array) -> "ArmLimits":
        """The same arm in a workspace of joint ranges, (dof,) each [rad] or [m]; infinities leave a joint as it is."""
        return replace(self, lower=np.maximum(self.lower, lower), upper=np.minimum(self.upper, upper))

    def lessened(self, share: float, position_share: float) -> "ArmLimits":
        """Velocity, acceleration and jerk less a share of them, positions less a share of their range at either end."""
        slack = position_share * (self.upper - self.lower)
        rest = {name: (1 - share) * getattr(self, name) for name in ("velocity", "acceleration", "jerk")}
        return ArmLimits(self.lower + slack, self.upper - slack, **rest)

    def velocity_towards(self, room: Array) -> Array:
        """The greatest velocity at which a joint without acceleration comes to rest within `room` [rad] or [m].

        Works on any shape (..., dof). It brakes with its greatest jerk and acceleration.
        """
        a, j = self.acceleration, self.jerk
        room = np.maximum(room, 0.0)
        # A stop from v takes 2 sqrt(v/j), or v/a + a/j where the acceleration limit is met: from a^2/j upwards.
        short = np.cbrt(room**2 * j)
        long = (np.sqrt((a * a / j) ** 2 + 8 * a * room) - a * a / j) / 2
        return np.minimum(self.velocity, np.where(short <= a * a / j, short, long))
