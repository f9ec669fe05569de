"""A robot description (URDF) as far as it matters to an arm: links with their collision shapes, and joints."""

from collections.abc import Iterable
from dataclasses import dataclass

from shared.errors import RobotError

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Origin:
    """A placement: xyz [m], and rpy [rad], turns about the fixed axes x, y and z in this order."""

    xyz: Vector = (0.0, 0.0, 0.0)
    rpy: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Shape:
    """The collision geometry of a link, or a part of it.

    Attributes:
        kind: box, cylinder, sphere or mesh. A capsule is read as a cylinder and two spheres.
        size: full edges of a box; radius and length along z of a cylinder; radius of a sphere; scale of a mesh along
            each axis [m].
        mesh: file name of a mesh, as it is written.
        origin: in the link's frame.
        line: of the file.
    """

    kind: str
    size: tuple[float, ...]
    mesh: str
    origin: Origin
    line: int


@dataclass(frozen=True)
class Joint:
    """A joint.

    Attributes:
        name: its name.
        kind: one of the URDF's.
        parent: name of the link it is fixed to.
        child: name of the link it moves.
        origin: of the child's frame in the parent's, at position 0.
        axis: of motion, in the child's frame; not normalized.
        limit: attributes of its <limit>, not read yet: those of joints that are held don't matter.
        mimic: attributes of its <mimic>, empty if it has none.
        safety: attributes of its <safety_controller>, likewise.
        line: of the file.
    """

    name: str
    kind: str
    parent: str
    child: str
    origin: Origin
    axis: Vector
    limit: dict[str, str]
    mimic: dict[str, str]
    safety: dict[str, str]
    line: int


@dataclass(frozen=True)
class Urdf:
    """A tree of links.

    Attributes:
        where: how messages call the file.
        name: the robot's.
        links: the collision shapes of each link, by its name, in file order.
        joints: by name, in file order.
        root: name of the link that no joint moves.
    """

    where: str
    name: str
    links: dict[str, tuple[Shape, ...]]
    joints: dict[str, Joint]
    root: str

    def path(self, base: str, tip: str) -> tuple[Joint, ...]:
        """The joints from one link down to another, fixed ones included. Raises RobotError if there is no such way."""
        for frame in (base, tip):
            if frame not in self.links:
                raise RobotError(f"{self.where}: has no link {frame!r}; it has {some_names(self.links)}")
        above = {joint.child: joint for joint in self.joints.values()}
        path, link = [], tip
        while link != base:
            if link not in above:
                raise RobotError(f"{self.where}: link {tip!r} is not below {base!r} in the tree; its root is {link!r}")
            path.append(above[link])
            link = above[link].parent
        return tuple(reversed(path))


def find_root(where: str, links: dict[str, tuple[Shape, ...]], joints: dict[str, Joint]) -> str:
    """The one link that no joint moves. Raises RobotError unless the links form one tree."""
    above: dict[str, Joint] = {}
    below: dict[str, list[str]] = {}
    for joint in joints.values():
        if joint.child in above:
            raise RobotError(
                f"{where}, line {joint.line}: link {joint.child!r} is moved by two joints, "
                f"{above[joint.child].name!r} and {joint.name!r}"
            )
        above[joint.child] = joint
        below.setdefault(joint.parent, []).append(joint.child)
    roots = [name for name in links if name not in above]
    if len(roots) > 1:
        raise RobotError(
            f"{where}: its links are not connected: no joint moves {some_names(roots)}; one link may be so"
        )
    reached, waiting = set(), list(roots)
    while waiting:
        link = waiting.pop()
        reached.add(link)
        waiting += below.get(link, [])
    if len(reached) < len(links):
        raise RobotError(f"{where}: its joints form a loop through {some_names(n for n in links if n not in reached)}")
    if not roots:
        raise RobotError(f"{where}: has no links")
    return roots[0]


def some_names(names: Iterable[str]) -> str:
    """A list of names that fits into a message."""
    listed = list(names)
    return ", ".join(map(repr, listed[:12])) + (f" and {len(listed) - 12} more" if len(listed) > 12 else "")
