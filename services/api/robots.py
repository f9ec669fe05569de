"""Routes of robots: those there are, and uploading one."""

import hashlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from services.api.bounded_process import BoundedProcesses
from services.api.jobs import Jobs
from services.api.problems import RESPONSES, ProblemError
from services.api.schemas import RobotBody, RobotsBody
from services.api.uploads import Uploads, content_type
from services.catalogue import ARMS, Arm
from services.catalogue.archive import read_archive
from services.catalogue.mesh_sources import MeshFiles
from services.catalogue.own_arm import ArmOptions, own_arm, parse_numbers
from services.catalogue.robot_registry import RegistryFullError, RobotRegistry, UnknownRobotError
from services.synthesis.arm.links import robot_links
from services.synthesis.arm.robot_model import robot_model
from shared.errors import RobotError

READ_S = 60.0
"""Longest time for reading an uploaded robot."""
MAX_UPLOADS = 4
"""At once, each with its body in memory."""

_XML, _ZIP = ("application/xml", "text/xml"), "application/zip"
_MESH = "application/octet-stream"
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "the URDF, or a ZIP archive of one URDF and its meshes",
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in (_XML[0], _ZIP)},
    }
}

router = APIRouter(prefix="/v1/robots", tags=["robots"], responses=RESPONSES)


def _registry(call: Request) -> RobotRegistry:
    registry = call.app.state.robots
    assert isinstance(registry, RobotRegistry)
    return registry


Registry = Annotated[RobotRegistry, Depends(_registry)]
Name = Annotated[str, Path(max_length=64, description="as the list of robots has it")]
Frame = Annotated[str | None, Query(min_length=1, max_length=128)]
Numbers = Annotated[str | None, Query(max_length=500, description="a number, or one for each joint between commas")]


async def _content(call: Request) -> AsyncIterator[tuple[bytes, bool]]:
    """The body, and whether it is an archive. Counts as an upload until the call is answered."""
    uploads, most = call.app.state.robot_uploads, call.app.state.settings.max_robot_bytes
    assert isinstance(uploads, Uploads)
    wanted = f"a URDF as {_XML[0]}, or one with its meshes as {_ZIP}"
    async with uploads.body(call, (*_XML, _ZIP), wanted, most) as body:
        yield body, content_type(call) == _ZIP


@router.get("", operation_id="list_robots")
def list_robots(registry: Registry) -> RobotsBody:
    """The robots of the catalogue, then those that were uploaded."""
    return RobotsBody(robots=[RobotBody.of(registry.find(name)) for name in registry.names()])


@router.post(
    "",
    operation_id="upload_robot",
    status_code=201,
    openapi_extra=_BODY,
    responses={200: {"model": RobotBody, "description": "This robot is there already"}},
)
def upload_robot(
    call: Request,
    jobs: Jobs,
    registry: Registry,
    response: Response,
    content: Annotated[tuple[bytes, bool], Depends(_content)],
    tip: Annotated[str, Query(min_length=1, max_length=128, description="link whose pose is recorded")],
    base: Annotated[Frame, Query(description="link in whose frame poses are expressed; the root by default")] = None,
    acceleration: Numbers = None,
    jerk: Numbers = None,
    home: Numbers = None,
    soft_limits: Annotated[bool, Query(description="stay within the URDF's soft limits, where narrower")] = True,
) -> RobotBody:
    """Upload a robot. Its name, which requests then use, holds its content's hash: the same robot is the same name."""
    given = {"acceleration": acceleration, "jerk": jerk, "home": home}
    options = ArmOptions(
        tip, base, **{name: parse_numbers(text, name) for name, text in given.items() if text}, soft_limits=soft_limits
    )
    if problem := jobs.storage_problem():
        raise ProblemError(507, problem)
    reader = call.app.state.robot_reader
    assert isinstance(reader, BoundedProcesses)
    arm = reader.call(read_robot, *content, options)
    try:
        if not registry.add(arm):
            response.status_code = 200
    except (RegistryFullError, OSError) as error:
        raise ProblemError(507, f"the robot can't be kept: {error}") from error
    robot = RobotBody.of(arm)
    response.headers["Location"] = robot.links["self"]
    return robot


def read_robot(body: bytes, archived: bool, options: ArmOptions) -> Arm:
    """Runs in a process of its own, which also has the unpacked archive in its memory.

    Returns:
        The robot, after everything that trajectories need of it was made once.

    Raises:
        RobotError: what is wrong with it.
    """
    name, urdf, meshes = read_archive(body) if archived else ("the URDF", body, {})
    # First without its meshes: what is wrong with the URDF is known at once.
    own_arm(urdf, name, options)
    arm = own_arm(urdf, name, options, MeshFiles(meshes, name))
    robot_links(robot_model(arm))
    return arm


@router.get("/{name}", operation_id="get_robot")
def get_robot(registry: Registry, name: Name) -> RobotBody:
    """A robot's joints, limits and frames."""
    return RobotBody.of(_known(registry, name))


@router.get(
    "/{name}/urdf",
    operation_id="get_robot_urdf",
    response_class=Response,
    responses={200: {"content": {_XML[0]: {}}, "description": "The URDF"}},
)
def get_robot_urdf(registry: Registry, name: Name) -> Response:
    """A robot's URDF: its maker's, or what was read of an uploaded one."""
    return Response(_known(registry, name).files.urdf(), media_type=_XML[0])


@router.get(
    "/{name}/mesh",
    operation_id="get_robot_mesh",
    response_class=Response,
    responses={
        200: {"content": {_MESH: {"schema": {"type": "string", "format": "binary"}}}, "description": "The mesh"}
    },
)
def get_robot_mesh(
    registry: Registry,
    name: Name,
    file: Annotated[str, Query(max_length=500, description="as the URDF names it")],
    known: Annotated[str | None, Header(alias="If-None-Match", description="ETag of what the caller has")] = None,
) -> Response:
    """A mesh file that a robot's URDF names, to look at."""
    arm = _known(registry, name)
    # Only what the URDF names is ever opened.
    if file not in arm.named_meshes:
        raise ProblemError(404, f"the URDF of {name} names no mesh {file!r}")
    try:
        content = arm.files.mesh(file)
    except RobotError as error:
        raise ProblemError(404, str(error)) from None
    etag = f'"{hashlib.sha256(content).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
    if known is not None and etag in (tag.strip() for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=_MESH, headers=headers)


@router.delete("/{name}", operation_id="delete_robot", status_code=204)
def delete_robot(registry: Registry, name: Name) -> None:
    """Delete an uploaded robot. Datasets made with it keep their own copy."""
    if name in ARMS:
        raise ProblemError(409, f"{name} is of the catalogue; only uploaded robots can be deleted")
    try:
        registry.remove(name)
    except UnknownRobotError as error:
        raise ProblemError(404, str(error)) from None


def _known(registry: RobotRegistry, name: str) -> Arm:
    try:
        return registry.find(name)
    except UnknownRobotError as error:
        raise ProblemError(404, str(error)) from None
