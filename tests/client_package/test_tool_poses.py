"""Chunks of tool poses on real arms: where it can't keep up it slows down, and never jumps."""

import contextlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.executor import arm_limits
from headstart_client import ArmLimits, Executor, PolicyError
from headstart_client.audit import MotionAudit
from headstart_client.kinematics import Kinematics
from headstart_client.tool_policy import ToolPath, ToolPolicy
from services.catalogue import ARMS
from services.synthesis.arm.robot_model import robot_model

Array = NDArray[np.float64]
STEP_S, STEPS = 0.05, 16


def kinematics(name: str) -> Kinematics:
    arm = ARMS[name]
    return Kinematics(arm.urdf, arm.joints, base_frame=arm.base_frame, tool_frame=arm.tool_frame)


def straight(chain: Kinematics, start: Array, offset: list[float], steps: int) -> Array:
    """Poses (steps, 9) from a posture's own, an offset [m] farther at the end, the rotation kept."""
    poses = np.repeat(chain.poses(start[None]), steps, axis=0)
    poses[:, :3] += np.linspace(0, 1, steps)[:, None] * offset
    return poses


@pytest.mark.parametrize("name", ARMS)
def test_tool_poses_are_those_of_the_service(name: str) -> None:
    limits = arm_limits(name)
    positions = np.random.default_rng(0).uniform(limits.lower, limits.upper, (20, limits.dof))
    place, rotation = robot_model(ARMS[name]).tool_poses(positions)
    poses = kinematics(name).poses(positions)
    assert np.abs(poses[:, :3] - place).max() < 1e-12
    assert np.abs(poses[:, 3:] - rotation[:, :2].reshape(-1, 6)).max() < 1e-12


@pytest.mark.parametrize("name", ["panda", "ur5", "xarm7", "z1", "kinova"])
def test_a_way_keeps_to_the_poses_and_near_the_posture(name: str) -> None:
    chain, limits, home = kinematics(name), arm_limits(name), np.array(ARMS[name].home)
    swings = np.sin(np.arange(STEPS)[:, None] / 10 * np.linspace(0.5, 1.5, limits.dof)) * 0.2
    poses = chain.poses(np.clip(home + swings, limits.lower, limits.upper))
    way = ToolPath(chain, limits, STEP_S).along(poses, home)
    assert way.progress.tolist() == list(range(STEPS))
    reached = chain.poses(way.joints)
    assert np.abs(reached - poses)[:, :3].max() < 1e-5
    assert np.abs(reached - poses)[:, 3:].max() < 1e-5
    # A seventh joint leaves room; the nearest posture is never far from the one that the poses were made of.
    assert np.abs(way.joints - home).max() < 0.35


def check_way(chain: Kinematics, limits: ArmLimits, poses: Array, way: Any) -> None:
    """Joints never go farther in a step than they may, and the tool is on the line all the time."""
    assert (np.abs(np.diff(way.joints, axis=0)) <= 0.9 * STEP_S * limits.velocity + 1e-12).all()
    assert ((way.joints >= limits.lower) & (way.joints <= limits.upper)).all()
    assert (np.diff(way.progress) >= 0).all()
    index = np.minimum(way.progress.astype(int), len(poses) - 2)
    share = (way.progress - index)[:, None]
    wanted = (1 - share) * poses[index, :3] + share * poses[index + 1, :3]
    assert np.abs(chain.poses(way.joints)[:, :3] - wanted).max() < 1e-3


def test_beyond_its_reach_the_tool_stays_at_its_end() -> None:
    chain, limits = kinematics("panda"), arm_limits("panda")
    home = np.array(ARMS["panda"].home)
    poses = straight(chain, home, [0.8, 0.0, 0.0], 40)
    way = ToolPath(chain, limits, STEP_S).along(poses, home)
    check_way(chain, limits, poses, way)
    # It gets 0.3 m or so, and then no farther: the last steps are at one place.
    assert 10 < way.progress[-1] < 30
    assert np.abs(np.diff(way.joints[-8:], axis=0)).max() < 0.02


def test_through_a_singular_posture_the_tool_goes_slower() -> None:
    """A UR5 whose wrist is nearly stretched: to go aside, two joints turn much, and here faster than they can."""
    chain, limits = kinematics("ur5"), arm_limits("ur5")
    start = np.array([0.0, -1.2, 1.6, -1.6, 0.12, 0.0])
    poses = straight(chain, start, [0.0, -0.2, 0.0], 24)
    way = ToolPath(chain, limits, STEP_S).along(poses, start)
    check_way(chain, limits, poses, way)
    # At half its speed while the wrist is nearest to that, then on at all of it.
    pace = np.diff(way.progress)
    assert pace[:10] == pytest.approx(0.5)
    assert pace[10:] == pytest.approx(1.0)
    assert np.abs(way.joints[1:11, 4]).max() < 0.12


def test_an_executor_carries_them_out_within_every_limit() -> None:
    chain, limits, home = kinematics("panda"), arm_limits("panda"), np.array(ARMS["panda"].home)
    executor = Executor(limits, home, rate_hz=500, policy_rate_hz=20)
    asked: list[Any] = []

    def policy(observation: Any, prefix: Any) -> Array:
        asked.append(prefix)
        poses = straight(chain, home, [0.9, 0.0, 0.0], 40)[observation : observation + STEPS]
        return np.column_stack([poses, np.where(np.arange(observation, observation + STEPS) < 20, -1.0, 1.0)])

    joined = ToolPolicy(policy, ToolPath(chain, limits, STEP_S), chain, executor)
    states, grippers = [], []
    for tick in range(1, 1001):
        now = (tick - 1) / 500
        if (tick - 1) % 100 == 0 and tick < 600:
            step = (tick - 1) // 25
            # Once the line has gone far beyond the arm's reach, there are no answers any more, and it stops.
            with contextlib.suppress(PolicyError):
                executor.offer(joined(step, executor.prefix(now, 1, 1)), now)
        command = executor.tick(tick / 500)
        states.append(command.state())
        grippers.append(command.gripper)
    audit = MotionAudit(limits, executor.period)
    audit.add(np.array(states))
    assert sum(audit.violations.values()) == 0
    assert not np.array(states)[-1, 1:].any()
    # What is committed is told in poses: the last command, and the one of now.
    assert asked[0] is None
    assert asked[1].shape == (2, 10)
    assert asked[1][1, :3] == pytest.approx(chain.poses(np.array(states)[99:100, 0])[0, :3], abs=1e-12)
    reasons = [event.reason for event in executor.events if event.kind == "slowed"]
    assert any("joints can't keep up with the tool" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda good: good[:, :9], r"\(16, 9\) is no chunk"),
        (lambda good: np.where(np.arange(16)[:, None] == 3, np.nan, good), "is no chunk of tool poses"),
        (lambda good: good * np.array([1, 1, 1] + [0] * 6 + [1]), "rows that span no plane"),
        (lambda good: good * 1000, "can't be reached in 0.5 s"),
    ],
)
def test_nonsense_is_no_answer(spoil: Any, said: str) -> None:
    chain, limits, home = kinematics("panda"), arm_limits("panda"), np.array(ARMS["panda"].home)
    executor = Executor(limits, home, rate_hz=500, policy_rate_hz=20)
    good = np.column_stack([straight(chain, home, [0.05, 0.0, 0.0], STEPS), np.ones(STEPS)])
    policy = ToolPolicy(lambda seen, prefix: spoil(good), ToolPath(chain, limits, STEP_S), chain, executor)
    with pytest.raises(PolicyError, match=said):
        policy(None)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"joints": ["panda_joint1", "elbow"]}, "no joint 'elbow'"),
        ({"tool_frame": "hand"}, "no link 'hand'"),
        ({"base_frame": "panda_link4"}, "moves with the arm"),
        ({"joints": ["panda_joint2", "panda_joint1"]}, "in the order"),
    ],
)
def test_what_a_urdf_lacks_is_said(changed: dict[str, Any], said: str) -> None:
    arm = ARMS["panda"]
    given = {"joints": arm.joints, "base_frame": arm.base_frame, "tool_frame": arm.tool_frame} | changed
    with pytest.raises(ValueError, match=said):
        Kinematics(arm.urdf, **given)


def test_the_package_without_poses_loads_no_pinocchio() -> None:
    code = "import sys, headstart_client; sys.exit(bool({'pinocchio', 'coal', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
