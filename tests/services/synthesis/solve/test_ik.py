"""IK of every catalogue arm, on a few hundred poses; `python -m benchmarks.ik` is the same on ten thousand."""

import numpy as np
import pytest

from benchmarks.ik import measure
from services.catalogue import ARMS, find_arm
from services.synthesis.arm.robot_model import robot_model
from services.synthesis.request.goals import GOALS, Goal
from services.synthesis.solve import ik
from tests.services.catalogue.own import own


@pytest.mark.parametrize("name", list(ARMS))
def test_ik_reaches_what_each_arm_can_reach(name: str) -> None:
    found = measure(robot_model(find_arm(name)), "pose", 400, seed=1)
    assert found["converged"] == found["said_converged"] >= 0.995
    assert found["worst_m"] <= 1e-5 + 1e-12
    assert found["worst_rad"] <= 1e-5 + 1e-9


@pytest.mark.parametrize("goal", GOALS[1:])
@pytest.mark.parametrize("name", ["so100", "panda"])
def test_ik_reaches_a_part_of_a_pose(name: str, goal: Goal) -> None:
    robot = robot_model(find_arm(name))
    found = measure(robot, goal, 400, seed=2)
    assert found["converged"] == found["said_converged"] >= 0.995
    position, rotation = robot.tool_poses(robot.home[None])
    turned = rotation @ np.array([[[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]])
    solution = ik.solve(robot, position, turned, first_start=robot.home[None], goal=goal)
    # Home is there already, but for a turn about the tool's axis, which neither goal asks for.
    assert solution.starts.tolist() == [1]
    np.testing.assert_allclose(solution.q[0], robot.home, atol=1e-6)


def test_a_part_of_a_pose_is_all_that_five_joints_can_reach() -> None:
    robot = robot_model(find_arm("so100"))
    position, rotation = robot.tool_poses(robot.planning_limits.lower + 0.5 * np.ones((1, 5)))
    tilted = rotation @ np.array([[[1.0, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]])
    pose, point = (ik.solve(robot, position, tilted, goal=goal) for goal in ("pose", "position"))
    assert not pose.converged[0]
    assert pose.angle_error[0] > 0.01
    assert point.converged[0]
    assert point.angle_error[0] == 0


def test_the_answer_does_not_depend_on_the_batch_whatever_the_goal() -> None:
    robot = robot_model(own())
    limits = robot.planning_limits
    q = limits.lower + np.random.default_rng(3).random((40, robot.dof)) * (limits.upper - limits.lower)
    position, rotation = robot.tool_poses(q)
    position[::5] += 3.0
    for goal in GOALS:
        together = ik.solve(robot, position, rotation, goal=goal)
        assert not together.converged[::5].any()
        for i in (0, 7, 38):
            alone = ik.solve(robot, position[i : i + 1], rotation[i : i + 1], goal=goal)
            assert np.array_equal(alone.q[0], together.q[i])
