import numpy as np
import pytest

from services.synthesis.arm.kinematics import LANES
from services.synthesis.arm.robot_model import pinocchio_pose
from services.synthesis.solve import ik
from shared.rotation import geodesic_angle
from tests.services.synthesis.examples import panda, random_configurations


@pytest.mark.parametrize("n", [1, LANES - 1, LANES, 3 * LANES + 5])
def test_forward_kinematics_equal_pinocchios(n: int) -> None:
    q = random_configurations(n, seed=n)
    position, rotation = panda().tool_poses(q)
    poses = [pinocchio_pose(panda(), configuration) for configuration in q]
    np.testing.assert_allclose(position, [pose.translation for pose in poses], rtol=0, atol=1e-13)
    np.testing.assert_allclose(rotation, [pose.rotation for pose in poses], rtol=0, atol=1e-13)


def test_poses_do_not_depend_on_what_is_computed_beside_them() -> None:
    q = random_configurations(200, seed=1)
    position, rotation = panda().tool_poses(q)
    for some in (slice(0, 1), slice(3, 70), slice(64, 199)):
        assert np.array_equal(panda().tool_poses(q[some])[0], position[some])
        assert np.array_equal(panda().tool_poses(q[some])[1], rotation[some])


def test_ik_converges_on_reachable_poses_as_pinocchio_sees_them() -> None:
    position, rotation = panda().tool_poses(random_configurations(4000, seed=2))
    solution = ik.solve(panda(), position, rotation)
    assert solution.converged.mean() >= 0.998
    limits = panda().spec.limits
    assert ((solution.q >= limits.lower) & (solution.q <= limits.upper)).all()
    for i in np.flatnonzero(solution.converged)[:500]:
        pose = pinocchio_pose(panda(), solution.q[i])
        assert np.linalg.norm(pose.translation - position[i]) <= ik.POSITION_TOLERANCE + 1e-12
        assert geodesic_angle(pose.rotation, rotation[i]) <= ik.ANGLE_TOLERANCE + 1e-12


def test_ik_reports_the_residual_it_reached_and_does_not_depend_on_the_batch() -> None:
    position, rotation = panda().tool_poses(random_configurations(64, seed=3))
    position[::4] += [0.0, 0.0, 1.5]
    together = ik.solve(panda(), position, rotation)
    assert not together.converged[::4].any()
    assert together.starts[::4].min() == sum(ik.STAGES)
    for i in range(0, 64, 7):
        alone = ik.solve(panda(), position[i : i + 1], rotation[i : i + 1])
        assert np.array_equal(alone.q[0], together.q[i])
        pose = pinocchio_pose(panda(), together.q[i])
        distance = np.linalg.norm(pose.translation - position[i])
        assert distance == pytest.approx(together.position_error[i], abs=1e-12)
        assert geodesic_angle(pose.rotation, rotation[i]) == pytest.approx(together.angle_error[i], abs=1e-9)


def test_ik_begins_where_it_is_told() -> None:
    q = random_configurations(100, seed=4)
    position, rotation = panda().tool_poses(q)
    solution = ik.solve(panda(), position, rotation, first_start=q)
    assert np.array_equal(solution.q, q)
    assert (solution.starts == 1).all()
