"""A robot of the user's on the command line: --urdf FILE --tip FRAME, and what else is said of it."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.catalogue import Arm, find_arm
from services.catalogue.mesh_sources import MeshFolder, package_root
from services.catalogue.own_arm import ArmOptions, own_arm, parse_numbers
from shared.errors import ConfigError, RequestError, RobotError
from shared.xml_reader import MAX_BYTES

_PER_JOINT = ("acceleration", "jerk", "home")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    group = parser.add_argument_group("a robot of your own", "see docs/robots.md")
    group.add_argument("--urdf", type=Path, metavar="FILE", help="its URDF")
    group.add_argument("--tip", metavar="FRAME", help="link whose pose is recorded, its z axis where the tool points")
    group.add_argument("--base", metavar="FRAME", help="link in whose frame poses are expressed (default: the root)")
    group.add_argument("--meshes", type=Path, metavar="DIR", help="folder of its meshes (default: its package's)")
    group.add_argument("--acceleration", metavar="A[,A...]", help="joint limits in rad/s^2 or m/s^2, one or one each")
    group.add_argument("--jerk", metavar="J[,J...]", help="joint limits in rad/s^3 or m/s^3, one or one each")
    group.add_argument("--no-soft-limits", action="store_true", help="use the whole range of joints with soft limits")
    group.add_argument("--home", metavar="Q,Q,...", help="a natural posture (default: the middle of every range)")


def own_robot(options: argparse.Namespace) -> Arm | None:
    """The arm that the arguments describe, or None without --urdf. Raises ConfigError, RobotError."""
    if options.urdf is None:
        for name in ("tip", "base", "meshes", *_PER_JOINT):
            if getattr(options, name) is not None:
                raise ConfigError(f"--{name} says something of a robot of your own; give its --urdf too")
        if options.no_soft_limits:
            raise ConfigError("--no-soft-limits says something of a robot of your own; give its --urdf too")
        return None
    if options.tip is None:
        raise ConfigError("--urdf needs --tip: the link whose pose is recorded")
    given = {name: getattr(options, name) for name in _PER_JOINT}
    said = {name: parse_numbers(text, f"--{name}") for name, text in given.items() if text is not None}
    content = _read(options.urdf)
    meshes = MeshFolder(options.meshes or package_root(options.urdf, content), options.urdf.parent)
    arm = ArmOptions(options.tip, options.base, **said, soft_limits=not options.no_soft_limits)
    return own_arm(content, str(options.urdf), arm, meshes)


def named_in(body: Any, arm: Arm) -> tuple[Any, Callable[[str], Arm]]:
    """A request's object with its robot set to `arm`, and what finds it. Raises RequestError if it names another."""
    if not isinstance(body, dict):
        return body, find_arm
    if body.get("robot", arm.name) not in (arm.name, arm.title):
        detail = f"with --urdf leave it out, or say {arm.title!r}"
        raise RequestError("the request is not valid", [("/robot", detail)])
    return {**body, "robot": arm.name}, lambda _: arm


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            # One more than is read, so that what is longer is told from what just fits.
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RobotError(f"{path} can't be read: {error.strerror}") from None
