"""What both programs know of a robot: names, limits, frames. Its kinematics stay in the service."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from headstart_client.limits import JointLimits

_LIMIT_FIELDS = tuple(field.name for field in fields(JointLimits))


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
