"""Reads a URDF and checks it: what of it matters to an arm, and nothing that could be hostile.

The numerics never see a stranger's file. What is read here is written anew by services.catalogue.urdf_text.
"""

import math
import re
from typing import NoReturn

import numpy as np
import pinocchio as pin
from numpy.typing import NDArray

from services.catalogue.urdf import Joint, Origin, Shape, Urdf, Vector, find_root
from shared.errors import RobotError
from shared.xml_reader import Element, read_xml

MAX_LINKS = 1000
MAX_NAME = 128
GREATEST_LENGTH = 1000.0
"""Of any coordinate or size [m], and of any angle of an origin [rad]."""

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_KINDS = ("revolute", "continuous", "prismatic", "fixed", "floating", "planar")
_SIZES = {"box": ("size",), "cylinder": ("radius", "length"), "capsule": ("radius", "length"), "sphere": ("radius",)}


def read_urdf(content: bytes, where: str) -> Urdf:
    """Reads a URDF's links and joints; whatever else it holds is skipped.

    Args:
        content: the file's bytes, UTF-8.
        where: how messages call it.

    Raises:
        RobotError: it is not well-formed, has a document type, is too large, or its links don't form one tree.
    """
    root = read_xml(content, where)
    if root.tag != "robot":
        raise RobotError(f"{where}, line {root.line}: is not a URDF: its root element is <{root.tag:.40}>, not <robot>")
    if "xmlns:xacro" in root.attributes and any(child.tag.startswith("xacro:") for child in root.children):
        raise RobotError(f"{where}: is a xacro file; expand it first (`xacro FILE > robot.urdf`)")
    reader = _UrdfReader(where)
    links: dict[str, tuple[Shape, ...]] = {}
    for element in root.all("link"):
        name = reader.name(element)
        if name in links:
            reader.refuse(element, f"link {name!r} is there twice")
        links[name] = tuple(shape for collision in element.all("collision") for shape in reader.shapes(collision, name))
    if len(links) > MAX_LINKS:
        raise RobotError(f"{where}: has {len(links)} links; at most {MAX_LINKS} are read")
    joints: dict[str, Joint] = {}
    for element in root.all("joint"):
        joint = reader.joint(element, links)
        if joint.name in joints:
            reader.refuse(element, f"joint {joint.name!r} is there twice")
        joints[joint.name] = joint
    name = re.sub(r"[^A-Za-z0-9_]+", "_", root.attributes.get("name", "")).strip("_")[:32] or "robot"
    return Urdf(where, name, links, joints, find_root(where, links, joints))


def numbers(text: str, count: int) -> tuple[float, ...] | None:
    """`count` finite decimal numbers, or None if that is not what the text holds."""
    words = text.split()
    if len(words) != count or not all(_NUMBER.fullmatch(word) for word in words):
        return None
    values = tuple(float(word) for word in words)
    return values if all(map(math.isfinite, values)) else None


class _UrdfReader:
    """Reads elements, and names the file and line of what is wrong."""

    def __init__(self, where: str) -> None:
        self._where = where

    def refuse(self, element: Element, why: str) -> NoReturn:
        """Raises RobotError."""
        raise RobotError(f"{self._where}, line {element.line}: {why}")

    def name(self, element: Element) -> str:
        """The name of a link or joint."""
        name = element.attributes.get("name", "")
        if not name or len(name) > MAX_NAME or not name.isprintable():
            self.refuse(element, f"a {element.tag} needs a name of 1 to {MAX_NAME} printable characters")
        return name

    def joint(self, element: Element, links: dict[str, tuple[Shape, ...]]) -> Joint:
        """A joint between known links."""
        name, kind = self.name(element), element.attributes.get("type", "")
        if kind not in _KINDS:
            self.refuse(element, f"joint {name!r} is of type {kind[:40]!r}; there are {', '.join(_KINDS)}")
        ends = []
        for tag in ("parent", "child"):
            end = element.first(tag)
            link = end.attributes.get("link", "") if end else ""
            if link not in links:
                self.refuse(element, f"joint {name!r}: its {tag} {link[:MAX_NAME]!r} is no link of this robot")
            ends.append(link)
        axis = element.first("axis")
        direction = self._vector(axis, "xyz", "1 0 0", f"joint {name!r}: axis") if axis else (1.0, 0.0, 0.0)
        if kind not in ("fixed", "floating") and math.hypot(*direction) < 1e-6:
            self.refuse(element, f"joint {name!r}: its axis has no direction")
        limit, mimic, safety = (element.first(tag) for tag in ("limit", "mimic", "safety_controller"))
        return Joint(
            name,
            kind,
            ends[0],
            ends[1],
            self._origin(element, f"joint {name!r}"),
            direction,
            limit.attributes if limit else {},
            mimic.attributes if mimic else {},
            safety.attributes if safety else {},
            element.line,
        )

    def shapes(self, collision: Element, link: str) -> list[Shape]:
        """The shapes of a link's <collision>."""
        of = f"link {link!r}: collision"
        geometry = collision.first("geometry")
        shapes = geometry.children if geometry else []
        if len(shapes) != 1 or shapes[0].tag not in (*_SIZES, "mesh"):
            self.refuse(collision, f"{of} needs a geometry of one {', '.join(_SIZES)} or mesh")
        shape, origin = shapes[0], self._origin(collision, of)
        if shape.tag == "mesh":
            file = shape.attributes.get("filename", "")
            if not file or len(file) > 1024 or not file.isprintable():
                self.refuse(shape, f"{of}: a mesh needs a filename of 1 to 1024 printable characters")
            scale = self._vector(shape, "scale", "1 1 1", of)
            if not all(scale):
                self.refuse(shape, f"{of}: a mesh can't be scaled by 0")
            return [Shape("mesh", scale, file, origin, shape.line)]
        if shape.tag == "box":
            size: tuple[float, ...] = self._vector(shape, "size", "", of)
        else:
            size = tuple(self._number(shape, attribute, of) for attribute in _SIZES[shape.tag])
        if not all(edge > 0 for edge in size):
            self.refuse(shape, f"{of}: sizes must be above 0")
        if shape.tag != "capsule":
            return [Shape(shape.tag, size, "", origin, shape.line)]
        along = pin.rpy.rpyToMatrix(*origin.rpy)[:, 2] * size[1] / 2
        ends = [Origin(_vector3(np.array(origin.xyz) + end), origin.rpy) for end in (-along, along)]
        caps = [Shape("sphere", size[:1], "", end, shape.line) for end in ends]
        return [Shape("cylinder", size, "", origin, shape.line), *caps]

    def _origin(self, element: Element, of: str) -> Origin:
        origin = element.first("origin")
        if origin is None:
            return Origin()
        return Origin(self._vector(origin, "xyz", "0 0 0", of), self._vector(origin, "rpy", "0 0 0", of))

    def _vector(self, element: Element, attribute: str, default: str, of: str) -> Vector:
        text = element.attributes.get(attribute, default)
        values = numbers(text, 3)
        if values is None or max(map(abs, values)) > GREATEST_LENGTH:
            self.refuse(
                element, f"{of}: {attribute}={text[:60]!r} is not 3 numbers of at most {GREATEST_LENGTH:g} in size"
            )
        return values[0], values[1], values[2]

    def _number(self, element: Element, attribute: str, of: str) -> float:
        text = element.attributes.get(attribute, "")
        values = numbers(text, 1)
        if values is None or abs(values[0]) > GREATEST_LENGTH:
            self.refuse(
                element, f"{of}: {attribute}={text[:60]!r} is not a number of at most {GREATEST_LENGTH:g} in size"
            )
        return values[0]


def _vector3(values: NDArray[np.float64]) -> Vector:
    x, y, z = map(float, values)
    return x, y, z
