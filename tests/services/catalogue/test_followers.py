"""Joints off the arm that mimic one of it: they move in collision checks and in the audit."""

import re
from pathlib import Path

import coal
import numpy as np
import pinocchio as pin
import pytest

from services.audit import audit_dataset
from services.catalogue.followers import followed
from services.catalogue.own_arm import ArmOptions, own_arm
from services.catalogue.robot_folder import read_robot, write_robot
from services.catalogue.urdf_reader import read_urdf
from services.engine import InlineEngine
from services.jobs import begin, make_dataset
from services.synthesis.arm.links import robot_links
from services.synthesis.arm.robot_model import robot_model
from services.synthesis.collision import separations as separations_module
from services.synthesis.collision.capsules import link_frames
from services.synthesis.collision.separations import separations
from services.synthesis.pipeline import ShardPlan, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.errors import RobotError
from shared.storage import open_storage
from tests.services.catalogue.own import GANTRY, own
from tests.services.synthesis.collision.reference import COAL_TOLERANCE, pair_distance

# In the file, each comes before what it follows: cover -> rod -> lever -> lift, an arm's joint.
_LINKS = """
  <link name="cover"><collision><geometry><box size="0.03 0.03 0.03"/></geometry></collision></link>
  <link name="rod"><collision><geometry><cylinder radius="0.01" length="0.2"/></geometry></collision></link>
  <link name="lever">
    <collision><origin xyz="0 0 0.1"/><geometry><box size="0.03 0.03 0.2"/></geometry></collision>
  </link>
  <link name="plate"/>
"""
_JOINTS = """
  <joint name="slide" type="prismatic">
    <parent link="rod"/><child link="cover"/><origin xyz="0 0.02 0.1" rpy="0.2 0 0.1"/><axis xyz="0 0.6 0.8"/>
    <limit lower="-1" upper="1" velocity="1" effort="1"/><mimic joint="swing" multiplier="0.1" offset="0.02"/>
  </joint>
  <joint name="swing" type="continuous">
    <parent link="plate"/><child link="rod"/><origin xyz="0.01 0 0.2"/><axis xyz="0 1 0.2"/>
    <mimic joint="lean" multiplier="-0.5" offset="0.3"/>
  </joint>
  <joint name="pad" type="fixed"><parent link="lever"/><child link="plate"/><origin xyz="0 0.01 0"/></joint>
  <joint name="lean" type="revolute">
    <parent link="shoulder"/><child link="lever"/><origin xyz="0 0.1 0.1" rpy="0 0.1 0.3"/><axis xyz="0 1 0"/>
    <limit lower="-4" upper="4" velocity="4" effort="1"/><mimic joint="lift" multiplier="1.5" offset="-0.1"/>
  </joint>
"""
LINKAGE = GANTRY.replace("</robot>", f"{_LINKS}{_JOINTS}</robot>")
# Position of each that follows, from that of lift.
_FOLLOWED = {"lean": (1.5, -0.1), "swing": (-0.75, 0.35), "slide": (-0.075, 0.055)}


def test_chains_of_mimics_end_at_the_arm_in_any_order_of_the_file() -> None:
    urdf = read_urdf(LINKAGE.encode(), "x")
    for name, (multiplier, offset) in _FOLLOWED.items():
        found = followed(urdf, urdf.joints[name])
        assert found is not None
        assert found[0] == "lift"
        np.testing.assert_allclose(found[1:], (multiplier, offset), atol=1e-15)
    assert followed(urdf, urdf.joints["lift"]) is None
    arm = own(LINKAGE)
    assert [one.joint.name for one in arm.followers] == ["lean", "swing", "slide"]
    said = "lean follows lift, swing follows lift, slide follows lift"
    assert f"joints off the arm that mimic one of it move with it in collision checks: {said}" in arm.notes
    assert own().followers == ()


@pytest.mark.parametrize(
    "mimic",
    [
        '<mimic joint="slide"/>',
        '<mimic joint="nothing"/>',
        '<mimic joint="lift" multiplier="x"/>',
        '<mimic joint="lean"/>',
    ],
)
def test_what_follows_nothing_is_held(mimic: str) -> None:
    broken = re.sub(r'<mimic joint="lift"[^>]*/>', mimic, LINKAGE)
    assert own(broken).followers == ()


def test_held_followers_follow_one_another_in_any_order() -> None:
    """The finger is held at 0.01; what follows what follows it, too."""
    text = GANTRY.replace('<joint name="finger"', _THUMB + '<joint name="finger"').replace(
        '<link name="right"/>', '<link name="right"/><link name="thumb"/>'
    )
    model = pin.buildModelFromXML(own(text).urdf)
    data = model.createData()
    pin.framesForwardKinematics(model, data, pin.neutral(model))
    hand, thumb = (data.oMf[model.getFrameId(name, pin.FrameType.BODY)] for name in ("hand", "thumb"))
    np.testing.assert_allclose(hand.actInv(thumb).translation, [0, 2 * (-0.01 - 0.002) + 0.001, 0], atol=1e-12)


_THUMB = """<joint name="thumb_joint" type="prismatic">
    <parent link="hand"/><child link="thumb"/><axis xyz="0 1 0"/><limit lower="-1" upper="1" velocity="0.1"/>
    <mimic joint="follower" multiplier="2" offset="0.001"/>
  </joint>"""


def test_one_that_follows_too_far_is_refused() -> None:
    with pytest.raises(RobotError, match=r"joint 'slide' mimics 'lift' beyond 500 rad or m; correct its multiplier"):
        own(LINKAGE.replace('multiplier="1.5"', 'multiplier="1e6"'))


def test_followers_move_as_pinocchio_says() -> None:
    robot = robot_model(own(LINKAGE))
    model = pin.buildModelFromXML(LINKAGE.replace("capsule", "cylinder"))
    data, rng = model.createData(), np.random.default_rng(0)
    links = robot_links(robot)
    limits, frames = robot.spec.limits, np.empty((robot.frames + 1, 12))
    numbers = {name: robot.link(name)[0] for name in ("lever", "plate", "rod", "cover")}
    assert numbers == {"lever": 6, "plate": 6, "rod": 7, "cover": 8}
    for _ in range(50):
        q = limits.lower + rng.random(robot.dof) * (limits.upper - limits.lower)
        full = np.zeros(model.nq)
        named = {**dict(zip(robot.arm.joints, q, strict=True))}
        named |= {name: multiplier * q[2] + offset for name, (multiplier, offset) in _FOLLOWED.items()}
        for name, value in named.items():
            joint = model.joints[model.getJointId(name)]
            full[joint.idx_q : joint.idx_q + joint.nq] = [value] if joint.nq == 1 else [np.cos(value), np.sin(value)]
        pin.framesForwardKinematics(model, data, full)
        link_frames(robot.chain, robot.followers, q, frames)
        for name, number in numbers.items():
            expected = data.oMf[model.getFrameId(name, pin.FrameType.BODY)]
            placement = robot.chain_offset(number) * robot.link(name)[1]
            rotation = frames[number + 1, :9].reshape(3, 3)
            np.testing.assert_allclose(
                rotation @ placement.translation + frames[number + 1, 9:], expected.translation, atol=1e-12
            )
            np.testing.assert_allclose(rotation @ placement.rotation, expected.rotation, atol=1e-12)
    pairs = {(links.names[a], links.names[b]) for a, b in links.pairs.tolist()}
    # A lever is next to the shoulder, which it is on, and to the rod, which is on it; to nothing else.
    assert {("floor", "lever"), ("carriage", "lever"), ("upper", "lever"), ("fore", "rod"), ("cover", "lever")} <= {
        pair for one in pairs for pair in (one, one[::-1])
    }
    assert not {("shoulder", "lever"), ("rod", "lever"), ("cover", "rod")} & {
        pair for one in pairs for pair in (one, one[::-1])
    }


def test_no_pair_comes_nearer_than_its_travel_says() -> None:
    robot = robot_model(own(LINKAGE))
    apart, limits, rng = separations(robot, True, ()), robot.spec.limits, np.random.default_rng(1)
    frames = [np.empty((robot.frames + 1, 12)) for _ in range(2)]
    used = np.zeros(len(apart.first))
    for _ in range(100):
        q = limits.lower + rng.random(robot.dof) * (limits.upper - limits.lower)
        moved = rng.uniform(-0.03, 0.03, robot.dof)
        for state, posture in zip(frames, (q, q + moved), strict=True):
            link_frames(robot.chain, robot.followers, posture, state)
        for pair in range(len(apart.first)):
            gaps = [pair_distance(apart, pair, state) for state in frames]
            if min(gaps) > 0:
                bound = apart.travel[pair] @ np.abs(moved)
                assert abs(gaps[0] - gaps[1]) <= bound + COAL_TOLERANCE
                used[pair] = max(used[pair], abs(gaps[0] - gaps[1]) / bound)
    # The bounds are no wild ones: each pair uses a good part of its own, but for the shoulder, which turns on the
    # floor.
    assert np.sort(used)[1] > 0.05


def test_followers_stay_beside_the_dataset(tmp_path: Path) -> None:
    arm = own(LINKAGE)
    storage = open_storage(str(tmp_path / "set"))
    write_robot(storage, arm)
    kept = read_robot(storage)
    assert kept.content_hash == arm.content_hash
    assert [(one.joint.name, one.source, one.multiplier, one.offset) for one in kept.followers] == [
        (one.joint.name, one.source, one.multiplier, one.offset) for one in arm.followers
    ]


# A lever on the first link that follows the second joint, and swings down past the base.
_SWING = """<robot name="swing">
  <link name="base">
    <collision><origin xyz="0 0 0.05"/><geometry><cylinder radius="0.06" length="0.1"/></geometry></collision>
  </link>
  <link name="l1">
    <collision><origin xyz="0 0 0.03"/><geometry><cylinder radius="0.05" length="0.06"/></geometry></collision>
  </link>
  <link name="l2"><collision><origin xyz="0 0 0.12"/><geometry><box size="0.05 0.05 0.2"/></geometry></collision></link>
  <link name="tool"/>
  <link name="lever">
    <collision><origin xyz="0 0 0.15"/><geometry><box size="0.04 0.04 0.3"/></geometry></collision>
  </link>
  <joint name="lever_joint" type="revolute">
    <parent link="l1"/><child link="lever"/><origin xyz="0 0.07 0.02"/><axis xyz="0 1 0"/>
    <limit lower="-4" upper="4" velocity="4"/><mimic joint="j2" multiplier="2"/>
  </joint>
  <joint name="j1" type="revolute">
    <parent link="base"/><child link="l1"/><origin xyz="0 0 0.15"/><axis xyz="0 0 1"/>
    <limit lower="-2.9" upper="2.9" velocity="2"/>
  </joint>
  <joint name="j2" type="revolute">
    <parent link="l1"/><child link="l2"/><origin xyz="0 0 0.1"/><axis xyz="0 1 0"/>
    <limit lower="-1.9" upper="1.9" velocity="2"/>
  </joint>
  <joint name="mount" type="fixed"><parent link="l2"/><child link="tool"/><origin xyz="0 0 0.25"/></joint>
</robot>"""


def _hits(q: np.ndarray) -> np.ndarray:
    """Whether the lever meets the base in each posture (n, 2), by shapes placed by hand."""
    base, lever = coal.Cylinder(0.06, 0.1), coal.Box(0.04, 0.04, 0.3)
    placed, found = coal.Transform3s(np.eye(3), np.array([0, 0, 0.05])), []
    for j1, j2 in q:
        joint = pin.SE3(pin.rpy.rpyToMatrix(0, 0, j1), np.array([0, 0, 0.15]))
        joint = joint * pin.SE3(pin.rpy.rpyToMatrix(0, 2 * j2, 0), np.array([0, 0.07, 0.02]))
        at = joint * pin.SE3(np.eye(3), np.array([0, 0, 0.15]))
        apart = coal.distance(
            base,
            placed,
            lever,
            coal.Transform3s(at.rotation, at.translation),
            coal.DistanceRequest(),
            coal.DistanceResult(),
        )
        found.append(apart <= 0)
    return np.array(found)


@pytest.mark.parametrize("checked", [True, False])
def test_a_lever_that_follows_a_joint_meets_nothing_and_an_audit_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checked: bool
) -> None:
    arm = own_arm(_SWING.encode(), "swing.urdf", ArmOptions("tool"))
    body = {"robot": arm.name, "count": 30, "seed": 3, "families": {"point_to_point": 1.0}, "shard_rows": 30}
    request = TrajectoryRequest.parse(body, lambda _: arm)
    if not checked:
        # Synthesis without these pairs, to see whether the audit finds them.
        monkeypatch.setattr(separations_module, "FOLLOWER_SHARE", -1.0)
        separations_module._link_pairs.cache_clear()
        separations.cache_clear()
    dataset = begin(request, str(tmp_path / "set"))
    make_dataset(request, dataset, InlineEngine())
    dataset.set_state("sealed")
    (commit,) = dataset.commits()
    rows = dataset.read_shard(commit).column("joint_position").to_pylist()
    hits = sum(bool(_hits(np.array(row).reshape(-1, 2)).any()) for row in rows)
    violations = audit_dataset(dataset).violations
    separations_module._link_pairs.cache_clear()
    separations.cache_clear()
    if checked:
        assert (hits, violations) == (0, 0)
    else:
        assert hits > 5
        assert violations == hits
    assert synthesize(ShardPlan(request, 0, 0, 2)).table.num_rows == 2
