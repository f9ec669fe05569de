"""A user's arm from any URDF: what is said of it where the user says nothing, and what is refused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.catalogue.arm import Arm
from services.catalogue.chain import GREATEST_VELOCITY, joint_limits, moving_joints
from services.catalogue.default_limits import RULE, default_acceleration, default_jerk
from services.catalogue.followers import followed, followers
from services.catalogue.mesh_hulls import mesh_hulls
from services.catalogue.mesh_sources import MeshFiles, MeshSource
from services.catalogue.own_files import MESH_PREFIX, OwnFiles, hull_name
from services.catalogue.stated_limits import stated_limits, with_soft_limits
from services.catalogue.urdf import Joint, Urdf
from services.catalogue.urdf_reader import numbers, read_urdf
from services.catalogue.urdf_text import urdf_text
from shared.errors import RobotError

GREATEST_JERK = 1e9


@dataclass(frozen=True)
class ArmOptions:
    """What a user says of an arm beside its URDF.

    Attributes:
        tip: link whose pose is recorded, its z axis the direction in which the tool points.
        base: link in whose frame poses are expressed; the root by default.
        acceleration: greatest |acceleration|, one value for all joints or one for each; the default rule's if empty.
        jerk: greatest |jerk|, likewise.
        home: a natural posture [rad or m]; the middle of every joint's range if empty.
        soft_limits: whether joints stay within the URDF's soft limits, where these are narrower.
    """

    tip: str
    base: str | None = None
    acceleration: tuple[float, ...] = ()
    jerk: tuple[float, ...] = ()
    home: tuple[float, ...] = ()
    soft_limits: bool = True


def own_arm(content: bytes, where: str, options: ArmOptions, meshes: MeshSource | None = None) -> Arm:
    """The arm that a user's URDF describes.

    Its name is the URDF's and a part of its content's hash, so that one name is always one arm.

    Args:
        content: the URDF.
        where: how messages call it.
        options: what else is said of it.
        meshes: where its mesh files are; those that are missing are left out, and a note says so.

    Raises:
        RobotError: naming what can't be used and where it is.
    """
    urdf = read_urdf(content, where)
    base = options.base or urdf.root
    urdf, soft = with_soft_limits(urdf, moving_joints(urdf, base, options.tip), options.soft_limits)
    moving = moving_joints(urdf, base, options.tip)
    limits = [joint_limits(urdf, joint) for joint in moving]
    velocity = [greatest for _, _, greatest in limits]
    acceleration = _limits("acceleration", options.acceleration, moving, default_acceleration(velocity))
    jerk = _limits("jerk", options.jerk, moving, default_jerk(acceleration))
    hulls, notes = _hulls(urdf, meshes or MeshFiles())
    names = {mesh: MESH_PREFIX + hull_name(hull) for mesh, hull in hulls.items()}
    files = OwnFiles(
        urdf_text(urdf, moving, _rest(urdf, moving), names),
        tuple(sorted({hull_name(hull): hull for hull in hulls.values()}.items())),
    )
    arm = Arm(
        name=urdf.name,
        title=urdf.name,
        files=files,
        base_frame=base,
        tool_frame=options.tip,
        acceleration=acceleration,
        jerk=jerk,
        limits_source=_source(options, moving),
        home=_home(options.home, moving, limits),
        notes=(*_ranges(moving), *_following(urdf, moving), *soft, *notes),
    )
    return replace(arm, name=f"{urdf.name}-{arm.content_hash[:12]}")


def parse_numbers(text: str, what: str) -> tuple[float, ...]:
    """Numbers separated by commas, as options are given. Raises RobotError."""
    words = text.split(",")
    values = numbers(" ".join(words), len(words))
    if values is None:
        raise RobotError(f"{what}={text[:80]!r} is not a number, or numbers separated by commas")
    return values


def _given(what: str, values: tuple[float, ...], moving: Sequence[Joint]) -> tuple[float, ...]:
    """A limit for each joint, from one for all or one for each."""
    if len(values) not in (0, 1, len(moving)):
        raise RobotError(
            f"{what} has {len(values)} values; give one, or {len(moving)}: one for each of {_names(moving)}"
        )
    for value in values:
        if not 0 < value <= GREATEST_JERK:
            raise RobotError(f"{what} {value:g} is not above 0 and at most {GREATEST_JERK:g}")
    return tuple(map(float, values * len(moving) if len(values) == 1 else values))


def _limits(
    what: str, values: tuple[float, ...], moving: Sequence[Joint], default: tuple[float, ...]
) -> tuple[float, ...]:
    """A limit for each joint: as given, else as the URDF states it, else by the default rule."""
    stated = [one or other for one, other in zip(stated_limits(moving, what), default, strict=True)]
    for joint, value in zip(moving, stated, strict=True):
        if value > GREATEST_JERK:
            raise RobotError(
                f"{what} of joint {joint.name!r} is {value:g} in its <limit>; at most {GREATEST_JERK:g} is"
            )
    return _given(what, values, moving) or tuple(stated)


def _source(options: ArmOptions, moving: Sequence[Joint]) -> str:
    """Where acceleration and jerk come from, in words."""
    given = [what for what in ("acceleration", "jerk") if getattr(options, what)]
    words, by_rule = [f"{' and '.join(given)} as given"] if given else [], False
    for what in ("acceleration", "jerk"):
        stated = stated_limits(moving, what)
        if what in given:
            continue
        by_rule = by_rule or None in stated
        if any(stated):
            some = [joint for joint, value in zip(moving, stated, strict=True) if value]
            words.append(f"{what} the URDF's" + (f" of {_names(some)}" if None in stated else ""))
    return "; ".join([*words, *([f"else {RULE}" if words else RULE] if by_rule else [])])


def _home(
    home: tuple[float, ...], moving: Sequence[Joint], limits: Sequence[tuple[float, float, float]]
) -> tuple[float, ...]:
    if not home:
        return tuple((lower + upper) / 2 for lower, upper, _ in limits)
    if len(home) != len(moving):
        raise RobotError(f"home has {len(home)} values for {len(moving)} joints: {_names(moving)}")
    for joint, value, (lower, upper, _) in zip(moving, home, limits, strict=True):
        if not lower <= value <= upper:
            raise RobotError(f"home puts joint {joint.name!r} at {value:g}, outside its range {lower:g} to {upper:g}")
    return tuple(map(float, home))


def _rest(urdf: Urdf, moving: Sequence[Joint]) -> dict[str, float]:
    """Where joints off the arm are held: at 0, or as near to it as they get; those that mimic one follow it."""
    arm = {joint.name for joint in moving}
    rest: dict[str, float] = {}
    for joint in urdf.joints.values():
        if joint.name in arm or joint.kind not in ("revolute", "prismatic"):
            continue
        lower, upper = (numbers(joint.limit.get(name, "0"), 1) for name in ("lower", "upper"))
        if lower and upper and lower[0] <= upper[0] and max(map(abs, (*lower, *upper))) <= GREATEST_VELOCITY:
            rest[joint.name] = min(max(0.0, lower[0]), upper[0])
    for joint in urdf.joints.values():
        follows = followed(urdf, joint)
        if follows is not None and joint.name not in arm:
            source, multiplier, offset = follows
            value = multiplier * rest.get(source, 0.0) + offset
            rest[joint.name] = value if abs(value) <= GREATEST_VELOCITY else 0.0
    return {name: value for name, value in rest.items() if value}


def _hulls(urdf: Urdf, meshes: MeshSource) -> tuple[dict[str, bytes], list[str]]:
    """Hulls of the collision meshes that are there, and notes on those that are not."""
    found, missing = {}, []
    for link, shapes in urdf.links.items():
        for mesh in {shape.mesh for shape in shapes if shape.kind == "mesh"}:
            content = meshes.find(mesh)
            if content is None:
                missing.append(link)
            else:
                found[mesh] = content
    notes = []
    if missing:
        links = ", ".join(dict.fromkeys(missing))
        notes.append(
            f"collision meshes of these links were not supplied, and are not checked: {links}; {meshes.remedy}"
        )
    if not found and not any(shape.kind != "mesh" for shapes in urdf.links.values() for shape in shapes):
        notes.append("there is no collision geometry at all: self-collision can't be checked")
    return mesh_hulls(found), notes


def _ranges(moving: Sequence[Joint]) -> list[str]:
    endless = [joint for joint in moving if joint.kind == "continuous"]
    return [f"continuous joints move between -pi and pi: {_names(endless)}"] if endless else []


def _following(urdf: Urdf, moving: Sequence[Joint]) -> list[str]:
    found = [f"{one.joint.name} follows {moving[one.source].name}" for one in followers(urdf, moving)]
    return (
        [f"joints off the arm that mimic one of it move with it in collision checks: {', '.join(found)}"]
        if found
        else []
    )


def _names(joints: Sequence[Joint]) -> str:
    return ", ".join(joint.name for joint in joints)
