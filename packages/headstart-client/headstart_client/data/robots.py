"""What both programs know of a robot: names, limits, frames. Its kinematics stay in the service."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_LIMIT_FIELDS = ("lower", "upper", "velocity", "acceleration", "jerk")


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

    lower: FloatArray
    upper: FloatArray
    velocity: FloatArray
    acceleration: FloatArray
    jerk: FloatArray

    def __post_init__(self) -> None:
        arrays = {name: np.asarray(getattr(self, name), dtype=np.float64) for name in _LIMIT_FIELDS}
        for name, values in arrays.items():
            if values.shape != arrays["lower"].shape or values.ndim != 1:
                raise ValueError(f"limit '{name}' has shape {values.shape}, expected {arrays['lower'].shape}")
            if not np.isfinite(values).all():
                raise ValueError(f"limit '{name}' is not finite: {values.tolist()}")
            values.flags.writeable = False
            object.__setattr__(self, name, values)
        if not (arrays["lower"] < arrays["upper"]).all():
            raise ValueError("every lower position limit must be below its upper limit")
        if not all((arrays[name] > 0).all() for name in ("velocity", "acceleration", "jerk")):
            raise ValueError("velocity, acceleration and jerk limits must be positive")

    def scaled(self, speed_scale: float) -> "JointLimits":
        """Limits under a time dilation s: velocity s*v, acceleration s^2*a, jerk s^3*j."""
        s = speed_scale
        return JointLimits(self.lower, self.upper, s * self.velocity, s**2 * self.acceleration, s**3 * self.jerk)


@dataclass(frozen=True)
class RobotSpec:
    """A robot arm as the record schema describes it. dof excludes gripper joints.

    Attributes:
        name: its name in the catalogue.
        joint_names: one name for each of the dof joints, in the order of every joint column.
        limits: their limits.
        base_frame: the frame in which poses are expressed.
        tool_frame: the frame whose pose is recorded (the tool centre point).
    """

    name: str
    joint_names: tuple[str, ...]
    limits: JointLimits
    base_frame: str
    tool_frame: str

    def __post_init__(self) -> None:
        if len(self.joint_names) != self.limits.lower.size:
            raise ValueError(f"{len(self.joint_names)} joint names for {self.limits.lower.size} joint limits")

    @property
    def dof(self) -> int:
        """Number of arm joints."""
        return len(self.joint_names)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` turns back into an equal spec."""
        return {
            "name": self.name,
            "joint_names": list(self.joint_names),
            "limits": {name: getattr(self.limits, name).tolist() for name in _LIMIT_FIELDS},
            "base_frame": self.base_frame,
            "tool_frame": self.tool_frame,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "RobotSpec":
        """Reads what `to_json` wrote. Raises KeyError or ValueError on anything else."""
        limits = JointLimits(**{name: np.array(value["limits"][name], float) for name in _LIMIT_FIELDS})
        return cls(value["name"], tuple(value["joint_names"]), limits, value["base_frame"], value["tool_frame"])
