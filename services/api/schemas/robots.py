"""Bodies of robots."""

from typing import Any

from pydantic import BaseModel

from services.api.schemas.fields import field
from services.catalogue import Arm
from services.catalogue.own_files import OwnFiles
from services.synthesis.arm.robot_model import robot_model

_SHA256 = "e42e292ef272684b35af182331e50d9f74181310315ce493761aa375d8e94e65"


class RobotBody(BaseModel):
    """A robot, the catalogue's or an uploaded one."""

    name: str = field("what requests call it", "panda")
    title: str = field("what people call it", "Franka Emika Panda with hand")
    uploaded: bool = field("whether it was uploaded to this service, rather than of the catalogue", False)
    joint_names: list[str] = field(
        "joints of the arm, from its base to its tool, in the order of every list of joints",
        ["panda_joint1", "panda_joint2"],
    )
    limits: dict[str, list[float]] = field(
        "lower and upper position (rad, or m if it slides), greatest velocity (/s), acceleration (/s^2) and jerk "
        "(/s^3) of each joint",
        {"lower": [-2.8973, -1.7628], "upper": [2.8973, 1.7628], "velocity": [2.175, 2.175]},
        "mixed",
    )
    base_frame: str = field("frame in which poses are expressed", "panda_link0")
    tool_frame: str = field("frame whose pose is recorded: the tool centre point", "panda_hand_tcp")
    limits_source: str = field("where its acceleration and jerk limits come from", "Franka Emika, Limits for Panda")
    home: list[float] = field("position of each joint in its home posture", [0.0, -0.785398], "rad or m")
    rest: dict[str, float] = field(
        "positions of joints off the arm, which are held; 0 where not named", {"panda_finger_joint1": 0.02}, "rad or m"
    )
    notes: list[str] = field("what to know of how it was read", ["joint wrist follows joint elbow"])
    sha256: str = field("of everything that shapes its trajectories", _SHA256)
    links: dict[str, str] = field(
        "paths of the robot and its files on this service",
        {"self": "/v1/robots/panda", "urdf": "/v1/robots/panda/urdf", "mesh": "/v1/robots/panda/mesh"},
    )

    @classmethod
    def of(cls, arm: Arm) -> "RobotBody":
        """The body of an arm. Raises RobotError."""
        path = f"/v1/robots/{arm.name}"
        said_of: dict[str, Any] = {name: getattr(arm, name) for name in ("title", "limits_source", "home", "notes")}
        said_of |= {"rest": dict(arm.rest), "uploaded": isinstance(arm.files, OwnFiles), "sha256": arm.content_hash}
        links = {"self": path, **{name: f"{path}/{name}" for name in ("urdf", "mesh")}}
        return cls(**robot_model(arm).spec.to_json(), **said_of, links=links)


class RobotsBody(BaseModel):
    """The robots of the catalogue, then those uploaded."""

    robots: list[RobotBody] = field("the robots, each as RobotBody has it", [], "mixed")
