"""What is said of an arm, whether the catalogue or a user says it. It is data: nothing in it is code."""

import functools
import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from services.catalogue.chain import moving_joints
from services.catalogue.files import RobotFiles
from services.catalogue.followers import Follower, followers
from services.catalogue.urdf import Joint, Origin, Urdf
from services.catalogue.urdf_reader import read_urdf
from services.catalogue.urdf_text import urdf_text
from shared.errors import RobotError
from shared.xml_reader import read_xml


@dataclass(frozen=True)
class Tool:
    """A tool frame that the URDF lacks, fixed to one of its links.

    Attributes:
        parent: the link.
        origin: of the frame in the link's.
    """

    parent: str
    origin: Origin


@dataclass(frozen=True)
class Arm:
    """One arm. Position and velocity limits come from its URDF.

    Attributes:
        name: what requests call it.
        title: maker and model, for people.
        files: where its URDF and meshes are.
        base_frame: link in whose frame poses are expressed.
        tool_frame: link whose pose is recorded (the tool centre point). Every joint between the two is the arm's; all
            others are held at their rest, but for those that mimic one of the arm's.
        acceleration: greatest |acceleration| of each joint [rad/s^2] or [m/s^2].
        jerk: greatest |jerk| of each joint [rad/s^3] or [m/s^3].
        limits_source: where acceleration and jerk come from.
        home: a natural posture from which the arm works [rad or m].
        rest: positions of joints outside the arm [rad or m]; 0 where not named.
        tool: where `tool_frame` is, if the URDF has no such link.
        notes: what a user should know of how it was read.
    """

    name: str
    title: str
    files: RobotFiles
    base_frame: str
    tool_frame: str
    acceleration: tuple[float, ...]
    jerk: tuple[float, ...]
    limits_source: str
    home: tuple[float, ...]
    rest: tuple[tuple[str, float], ...] = ()
    tool: Tool | None = None
    notes: tuple[str, ...] = ()

    @functools.cached_property
    def description(self) -> Urdf:
        """Its URDF as read, with the tool frame. Raises RobotError."""
        urdf = read_urdf(self.files.urdf(), self.files.where)
        if self.tool is None:
            return urdf
        if self.tool.parent not in urdf.links:
            raise RobotError(f"robot {self.name!r}: {self.files.where} has no link {self.tool.parent!r}")
        mount = Joint(
            f"{self.tool_frame}_mount",
            "fixed",
            self.tool.parent,
            self.tool_frame,
            self.tool.origin,
            (1, 0, 0),
            {},
            {},
            {},
            0,
        )
        return replace(urdf, links={**urdf.links, self.tool_frame: ()}, joints={**urdf.joints, mount.name: mount})

    @functools.cached_property
    def moving(self) -> tuple[Joint, ...]:
        """The arm's joints, in the order of every joint column. Raises RobotError if they can't be an arm's."""
        joints = moving_joints(self.description, self.base_frame, self.tool_frame)
        for what in ("acceleration", "jerk", "home"):
            if len(getattr(self, what)) != len(joints):
                raise RobotError(
                    f"robot {self.name!r}: {what} has {len(getattr(self, what))} values for {len(joints)} joints"
                )
        for name, _ in self.rest:
            if name not in self.description.joints or name in (joint.name for joint in joints):
                raise RobotError(f"robot {self.name!r}: there is no joint {name!r} off the arm to hold")
        return joints

    @functools.cached_property
    def followers(self) -> tuple[Follower, ...]:
        """Joints off the arm that move with it, those nearer to the root first. Raises RobotError."""
        return followers(self.description, self.moving)

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of the arm's joints."""
        return tuple(joint.name for joint in self.moving)

    @property
    def urdf(self) -> str:
        """The URDF that the numerics read: the arm's joints, all else held, its meshes by the names in its own."""
        return urdf_text(self.description, self.moving, dict(self.rest), {name: name for name in self.meshes()})

    def meshes(self) -> list[str]:
        """File names of its collision meshes, each once."""
        shapes = (shape for link in self.description.links.values() for shape in link)
        return sorted({shape.mesh for shape in shapes if shape.kind == "mesh"})

    @functools.cached_property
    def named_meshes(self) -> frozenset[str]:
        """File names of every mesh in its URDF, those that are only looked at included. Raises RobotError."""
        root = read_xml(self.files.urdf(), self.files.where)
        return frozenset(mesh.attributes.get("filename", "") for mesh in root.below("mesh"))

    @functools.cached_property
    def content_hash(self) -> str:
        """sha256 of everything that shapes this arm's trajectories: what is said here and what its files say."""
        said = {f.name: getattr(self, f.name) for f in fields(self) if f.name in _SHAPING}
        said["tool"] = asdict(self.tool) if self.tool else None
        said["unchecked"] = sorted(sorted(pair) for pair in self.files.unchecked_pairs())
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
        digest.update(self.urdf.encode())
        for name in self.meshes():
            digest.update(hashlib.sha256(self.files.mesh(name)).digest())
        return digest.hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        # What is cached is made again where it is needed: arms travel with every shard's plan.
        return {f.name: getattr(self, f.name) for f in fields(self)}


_SHAPING = ("base_frame", "tool_frame", "acceleration", "jerk", "home", "rest")
