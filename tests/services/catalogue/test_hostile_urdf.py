"""URDFs that are broken or meant to break something: each is refused with what is wrong and where, at once."""

import contextlib
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalogue.mesh_sources import MeshFiles, MeshFolder
from services.catalogue.own_arm import ArmOptions, own_arm
from services.catalogue.urdf_reader import read_urdf
from shared.errors import RobotError
from shared.xml_reader import MAX_BYTES, read_xml
from tests.services.catalogue.own import GANTRY, own

_ENTITIES = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "bomb"}">' for i in range(12))
_CHAIN = "".join(
    f'<link name="l{i}"/><joint name="j{i}" type="revolute"><parent link="l{i}"/><child link="l{i + 1}"/>'
    '<limit lower="-1" upper="1" velocity="1" effort="1"/></joint>'
    for i in range(900)
)
_RAIL = '<limit lower="-0.4" upper="0.4" velocity="1" effort="10"/>'


def _with_rail(limit: str) -> str:
    assert _RAIL in GANTRY
    return GANTRY.replace(_RAIL, limit)


HOSTILE: dict[str, tuple[str | bytes, str]] = {
    "entity bomb": (f"<!DOCTYPE robot [{_ENTITIES}]><robot name='&e11;'/>", "line 1: has a document type"),
    "external entity": (
        '<?xml version="1.0"?>\n<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><robot>&x;</robot>',
        "line 2: has a document type",
    ),
    "external document type": ('<!DOCTYPE robot SYSTEM "http://localhost/x.dtd"><robot/>', "document type"),
    "undefined entity": ("<robot name='&nothing;'/>", "is not XML: undefined entity"),
    "not XML": ("hello", "line 1: is not XML"),
    "nothing": ("", "is not XML: no element found"),
    "cut off": (GANTRY[:900], "is not XML"),
    "UTF-16": (GANTRY.encode("utf-16"), "line 1: is not UTF-8"),
    "Latin-1": ("<robot>\n<link name='ä'/></robot>".encode("latin-1"), "line 2: is not UTF-8"),
    "says another encoding": ('<?xml version="1.0" encoding="utf-7"?><robot name="+ADw-"/>', "has no links"),
    "null bytes": (b"<robot>\0</robot>", "is not XML"),
    "too long": (b"<robot>" + b" " * MAX_BYTES + b"</robot>", "bytes; at most 4,194,304 are read"),
    "too deep": ("<robot>" + "<a>" * 100_000 + "</a>" * 100_000 + "</robot>", "nested more than 64 deep"),
    "too many elements": ("<robot>" + "<a/>" * 200_000 + "</robot>", "more than 100,000 elements"),
    "other XML": ("<html/>", "its root element is <html>, not <robot>"),
    "xacro": ('<robot xmlns:xacro="x"><xacro:include filename="/etc/passwd"/></robot>', "is a xacro file"),
    "no links": ("<robot name='x'/>", "has no links"),
    "link without name": ("<robot><link/></robot>", "line 1: a link needs a name"),
    "name with control characters": ("<robot><link name='a&#9;b'/></robot>", "a link needs a name"),
    "endless name": (f"<robot><link name='{'x' * 1000}'/></robot>", "a name of 1 to 128"),
    "same link twice": (GANTRY.replace('<link name="wrist"/>', '<link name="fore"/>'), "link 'fore' is there twice"),
    "same joint twice": (GANTRY.replace('<joint name="turn"', '<joint name="rail"'), "joint 'rail' is there twice"),
    "unknown child": (GANTRY.replace('<child link="hand"/>', '<child link="foot"/>'), "its child 'foot' is no link"),
    "unknown type": (GANTRY.replace('type="continuous"', 'type="screw"'), "is of type 'screw'"),
    "cycle": (
        GANTRY.replace('<parent link="floor"/>', '<parent link="tool"/>'),
        "form a loop",
    ),
    "loop of everything": (
        GANTRY.replace(
            "</robot>",
            '<joint name="back" type="fixed"><parent link="tool"/><child link="floor"/></joint></robot>',
        ),
        "form a loop",
    ),
    "two parents": (
        GANTRY.replace(
            "</robot>", '<joint name="b" type="fixed"><parent link="tool"/><child link="fore"/></joint></robot>'
        ),
        "link 'fore' is moved by two joints, 'elbow' and 'b'",
    ),
    "not connected": (GANTRY.replace("</robot>", '<link name="island"/></robot>'), "'floor', 'island'"),
    "missing tip": (GANTRY.replace('"tool"', '"tools"'), "has no link 'tool'"),
    "NaN limit": (_with_rail('<limit lower="nan" upper="0.4" velocity="1"/>'), "joint 'rail' has lower limit 'nan'"),
    "infinite limit": (_with_rail('<limit lower="-1" upper="inf" velocity="1"/>'), "upper limit 'inf'"),
    "overflowing limit": (_with_rail('<limit lower="-1" upper="1e999" velocity="1"/>'), "upper limit '1e999'"),
    "huge limit": (_with_rail('<limit lower="-1e9" upper="1" velocity="1"/>'), "has a limit beyond 100"),
    "no range": (_with_rail('<limit lower="0.2" upper="0.2" velocity="1"/>'), "has no range: .* both 0.2"),
    "no limits": (_with_rail(""), "joint 'rail' has no <limit>; .* lower, upper and velocity"),
    "reversed limits": (_with_rail('<limit lower="1" upper="-1" velocity="1"/>'), "lower is 1, upper is -1"),
    "no velocity": (_with_rail('<limit lower="-1" upper="1"/>'), "has no velocity limit"),
    "zero velocity": (_with_rail('<limit lower="-1" upper="1" velocity="0"/>'), "velocity limit 0; it must be above 0"),
    "negative velocity": (_with_rail('<limit lower="-1" upper="1" velocity="-2"/>'), "velocity limit -2"),
    "NaN origin": (GANTRY.replace('xyz="0 0 0.2"', 'xyz="0 0 nan"'), "xyz='0 0 nan' is not 3 numbers"),
    "huge origin": (GANTRY.replace('xyz="0 0 0.2"', 'xyz="0 0 1e30"'), "xyz='0 0 1e30' is not 3 numbers"),
    "short origin": (GANTRY.replace('xyz="0 0 0.2"', 'xyz="0 0"'), "is not 3 numbers"),
    "no axis": (GANTRY.replace('axis xyz="0 0.6 0.8"', 'axis xyz="0 0 0"'), "joint 'pitch': its axis has no direction"),
    "negative size": (GANTRY.replace('sphere radius="0.05"', 'sphere radius="-1"'), "sizes must be above 0"),
    "no size": (GANTRY.replace('sphere radius="0.05"', "sphere"), "link 'fore': collision: radius='' is not a number"),
    "unknown shape": (GANTRY.replace('sphere radius="0.05"', "plane"), "needs a geometry of one box, cylinder"),
    "mesh without file": (GANTRY.replace('sphere radius="0.05"', "mesh"), "a mesh needs a filename"),
    "flat mesh": (GANTRY.replace('sphere radius="0.05"', 'mesh filename="a.stl" scale="1 0 1"'), "scaled by 0"),
    "floating joint": (GANTRY.replace('name="turn" type="continuous"', 'name="turn" type="floating"'), "is floating"),
    "planar joint": (GANTRY.replace('name="turn" type="continuous"', 'name="turn" type="planar"'), "is planar"),
    "mimic in the arm": (
        GANTRY.replace('<axis xyz="0 -1 0"/>', '<axis xyz="0 -1 0"/><mimic joint="lift"/>'),
        "joint 'elbow' mimics 'lift'",
    ),
    "hundreds of joints": (f'<robot>{_CHAIN}<link name="l900"/></robot>', "900 joints move 'l900' against 'l0'"),
    "thousands of links": ("<robot>" + "".join(f'<link name="{i}"/>' for i in range(5000)) + "</robot>", "5000 links"),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_urdfs_are_refused_by_name(name: str) -> None:
    text, message = HOSTILE[name]
    content = text if isinstance(text, bytes) else text.encode()
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        with pytest.raises(RobotError, match=message) as raised:
            own_arm(content, "own.urdf", ArmOptions("l900" if "hundreds" in name else "tool"))
    finally:
        sys.setprofile(before)
    assert str(raised.value).startswith("own.urdf")
    assert len(str(raised.value)) < 500
    # Calls and returns, whatever the processor: fourteen for each of the 100,000 elements that are read at most.
    assert calls < 2_000_000


def test_a_chain_of_a_thousand_links_is_read_without_recursion() -> None:
    assert len(read_urdf(f'<robot>{_CHAIN}<link name="l900"/></robot>'.encode(), "x").path("l0", "l900")) == 900


ESCAPES = (
    "../../etc/passwd.stl",
    "package://robot/../../secret.stl",
    "package://../secret.stl",
    "/etc/passwd.stl",
    "file:///etc/passwd.stl",
    "http://localhost/a.stl",
    "C:\\secret.stl",
    "..\\secret.stl",
    "package:///etc/passwd.stl",
    "meshes/../../secret.stl",
)


@pytest.mark.parametrize("name", ESCAPES)
def test_mesh_names_lead_nowhere_else(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret.stl").write_bytes(b"solid")
    inside = tmp_path / "robot"
    inside.mkdir()
    text = GANTRY.replace('<sphere radius="0.05"/>', f'<mesh filename="{name}"/>')
    for source in (MeshFolder(inside, inside), MeshFiles({"secret.stl": b"solid"}, "own.urdf"), None):
        with pytest.raises(RobotError, match="leads outside the robot's own files"):
            own(text, meshes=source)


def test_links_in_a_folder_are_followed_before_they_are_judged(tmp_path: Path) -> None:
    (tmp_path / "secret.stl").write_bytes(b"solid")
    inside = tmp_path / "robot"
    inside.mkdir()
    os.symlink(tmp_path / "secret.stl", inside / "a.stl")
    os.symlink(tmp_path, inside / "up")
    for name in ("a.stl", "up/secret.stl"):
        with pytest.raises(RobotError, match="leads outside"):
            MeshFolder(inside, inside).find(name)
    assert MeshFolder(tmp_path, inside).find("a.stl") == b"solid"


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for text in (content, b"<robot>" + content + b"</robot>"):
        with contextlib.suppress(RobotError):
            read_urdf(text, "x")


@given(st.sampled_from(range(0, len(GANTRY), 7)), st.binary(min_size=1, max_size=8))
def test_a_damaged_urdf_is_read_or_refused(at: int, noise: bytes) -> None:
    content = GANTRY.encode()
    with contextlib.suppress(RobotError):
        own_arm(content[:at] + noise + content[at + len(noise) :], "x", ArmOptions("tool"))


def test_lines_are_named() -> None:
    with pytest.raises(RobotError, match=r"x, line 3: is not XML: mismatched tag"):
        read_xml(b"<a>\n<b>\n</a>", "x")
    assert [child.line for child in read_xml(b"<a>\n<b/>\n\n<c/></a>", "x").children] == [2, 4]
