import math
import pickle

import numpy as np
import pinocchio as pin
import pytest

from services.catalogue.own_arm import parse_numbers
from services.catalogue.own_files import OwnFiles
from services.synthesis.arm.links import robot_links
from services.synthesis.arm.robot_model import RobotModel, pinocchio_pose, robot_model
from services.synthesis.collision.capsules import link_frames
from services.synthesis.request.goals import GOALS
from services.synthesis.solve import ik
from shared.errors import RobotError
from tests.services.catalogue.own import GANTRY, own


def _configurations(robot: RobotModel, n: int) -> np.ndarray:
    limits = robot.planning_limits
    return limits.lower + np.random.default_rng(5).random((n, robot.dof)) * (limits.upper - limits.lower)


def test_a_urdf_alone_is_enough() -> None:
    arm = own()
    limits = robot_model(arm).spec.limits
    assert arm.joints == ("rail", "turn", "lift", "elbow", "roll", "pitch")
    assert arm.name == f"gantry-{arm.content_hash[:12]}"
    assert (arm.base_frame, arm.title) == ("floor", "gantry")
    assert limits.lower.tolist() == [-0.4, -math.pi, -1.5, -2.4, -3, -1.8]
    assert limits.velocity.tolist() == [1, 2, 2, 2.5, 3, 3]
    # The stated rule: full speed within 0.2 s, full acceleration within 0.05 s.
    np.testing.assert_allclose(limits.acceleration, limits.velocity / 0.2)
    np.testing.assert_allclose(limits.jerk, limits.acceleration / 0.05)
    assert arm.limits_source.startswith("default rule")
    np.testing.assert_allclose(arm.home, [0, 0, -0.15, 0, 0, 0], atol=1e-12)
    assert any("turn" in note and "-pi" in note for note in arm.notes)


def test_what_is_said_goes_before_what_is_assumed_and_is_checked() -> None:
    arm = own(acceleration=(4.0,), jerk=(10.0, 20, 30, 40, 50, 60), home=(0.1, 0, 0, 0, 0, 0))
    assert arm.acceleration == (4.0,) * 6
    assert arm.limits_source == "acceleration and jerk as given"
    assert arm.content_hash != own().content_hash
    assert own(base="carriage").joints[0] == "turn"
    for said, message in (
        ({"acceleration": (1.0, 2.0)}, "acceleration has 2 values; give one, or 6"),
        ({"jerk": (-1.0,)}, "jerk -1 is not above 0"),
        ({"home": (0.0,) * 5}, "home has 5 values for 6 joints"),
        ({"home": (0.5, 0, 0, 0, 0, 0)}, "home puts joint 'rail' at 0.5, outside its range -0.4 to 0.4"),
        ({"tip": "hook"}, "has no link 'hook'; it has 'floor'"),
        ({"base": "left"}, "link 'tool' is not below 'left'"),
        ({"base": "hand"}, "no joint moves 'tool' against 'hand'"),
    ):
        with pytest.raises(RobotError, match=message):
            own(**said)
    assert parse_numbers("1,2.5,-3e-1", "--home") == (1, 2.5, -0.3)
    for text in ("1,,2", "nan", "1;2", "", "0x10", "1_0"):
        with pytest.raises(RobotError, match="--home"):
            parse_numbers(text, "--home")


def test_slides_and_hinges_move_as_pinocchio_says() -> None:
    robot = robot_model(own())
    assert robot.chain.slides.tolist() == [True] + 5 * [False]
    model = pin.buildModelFromXML(GANTRY.replace("capsule", "cylinder"))
    data = model.createData()
    q = _configurations(robot, 50)
    position, rotation = robot.tool_poses(q)
    frames = np.empty((robot.dof + 1, 12))
    for i, (rail, turn, *rest) in enumerate(q):
        pin.framesForwardKinematics(model, data, np.array([rail, math.cos(turn), math.sin(turn), *rest, 0, 0]))
        pose = data.oMf[model.getFrameId("tool", pin.FrameType.BODY)]
        np.testing.assert_allclose(position[i], pose.translation, atol=1e-12)
        np.testing.assert_allclose(rotation[i], pose.rotation, atol=1e-12)
        link_frames(robot.chain, robot.followers, q[i], frames)
        for j in range(robot.dof):
            joint = data.oMi[j + 1] * robot.chain_offset(j).inverse()
            np.testing.assert_allclose(frames[j + 1, 9:], joint.translation, atol=1e-12)
            np.testing.assert_allclose(frames[j + 1, :9], joint.rotation.reshape(-1), atol=1e-12)


def test_ik_slides_too() -> None:
    robot = robot_model(own())
    position, rotation = robot.tool_poses(_configurations(robot, 1000))
    for goal in GOALS:
        solution = ik.solve(robot, position, rotation, goal=goal)
        assert solution.converged.mean() >= 0.995
        for i in np.flatnonzero(solution.converged)[:100]:
            pose = pinocchio_pose(robot, solution.q[i])
            assert np.linalg.norm(pose.translation - position[i]) <= ik.POSITION_TOLERANCE + 1e-12
            if goal == "position_axis":
                assert math.acos(min(1, pose.rotation[:, 2] @ rotation[i, :, 2])) <= ik.ANGLE_TOLERANCE + 1e-7


def test_joints_off_the_arm_are_held_within_their_limits_and_followers_follow() -> None:
    arm = own()
    assert isinstance(arm.files, OwnFiles)
    model = pin.buildModelFromXML(arm.files.text)
    data = model.createData()
    pin.framesForwardKinematics(model, data, pin.neutral(model))
    fingers = [data.oMf[model.getFrameId(name, pin.FrameType.BODY)] for name in ("hand", "left", "right")]
    np.testing.assert_allclose(fingers[0].actInv(fingers[1]).translation, [0.08, 0.01, 0], atol=1e-12)
    np.testing.assert_allclose(fingers[0].actInv(fingers[2]).translation, [0.08, -0.012, 0], atol=1e-12)


def test_hulls_contain_their_shapes_and_hardly_more() -> None:
    links = robot_links(robot_model(own()))
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(500, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)

    def support(name: str) -> np.ndarray:
        """Of the hull in each direction, the joint's own frame."""
        joint = links.joint[links.names.index(name)]
        offset = robot_model(own()).chain_offset(int(joint))
        hull = links.hulls[links.names.index(name)]
        points = np.array([hull.point(i) for i in range(hull.num_points)])
        return np.asarray(((points - offset.translation) @ offset.rotation @ directions.T).max(0))

    def between(inner: np.ndarray, outer: np.ndarray) -> bool:
        return bool((inner >= outer - 1e-9).all() and (inner <= outer + 0.003).all())

    assert between(support("fore"), 0.05 + 0.1 * directions[:, 0])
    cylinder = (
        0.1 * directions[:, 2] + 0.1 * np.abs(directions[:, 2]) + 0.05 * np.hypot(directions[:, 0], directions[:, 1])
    )
    assert between(support("shoulder"), cylinder)
    # URDFs write a right angle as 1.5708.
    assert between(support("upper") + 1e-5, 0.15 * directions[:, 0] + 0.15 * np.abs(directions[:, 0]) + 0.04)


def test_links_without_volume_are_given_some() -> None:
    links = robot_links(robot_model(own(GANTRY.replace('box size="2 2 0.1"', 'box size="2 2 1e-14"'))))
    assert links.hulls[0].num_points == 8


def test_reach_bounds_the_travel_of_every_point() -> None:
    robot = robot_model(own())
    links = robot_links(robot)
    assert links.reach[links.names.index("fore")][0] == 1.0
    rng = np.random.default_rng(1)
    q = _configurations(robot, 200)
    step = rng.normal(size=q.shape) * 1e-4
    frames = [np.empty((robot.dof + 1, 12)) for _ in range(2)]
    for before, move in zip(q, step, strict=True):
        for frame, posture in zip(frames, (before, before + move), strict=True):
            link_frames(robot.chain, robot.followers, posture, frame)
        bounds = links.reach @ np.abs(move)
        for name, joint, hull, bound in zip(links.names, links.joint, links.hulls, bounds, strict=True):
            points = np.array([hull.point(i) for i in range(hull.num_points)])
            here, there = (points @ f[joint + 1, :9].reshape(3, 3).T + f[joint + 1, 9:] for f in frames)
            assert np.linalg.norm(there - here, axis=1).max() <= bound * (1 + 1e-6), name


def test_an_arm_crosses_processes_without_what_it_remembers() -> None:
    arm = own()
    copy = pickle.loads(pickle.dumps(arm))
    assert copy == arm
    assert "content_hash" not in vars(copy)
    assert copy.content_hash == arm.content_hash
    assert len(pickle.dumps(arm)) < 10_000


def test_the_same_robot_written_differently_is_the_same_arm() -> None:
    assert own(GANTRY.replace("\n", "\n\n<!-- a comment -->")).content_hash == own().content_hash
    assert own(GANTRY.replace('velocity="2.5"', 'velocity="2.50"')).name == own().name
    assert own(GANTRY.replace('velocity="2.5"', 'velocity="2.6"')).name != own().name
