from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from services.audit.claims import Claims
from services.audit.collision_check import CollisionCheck
from services.audit.findings import AuditReport
from services.audit.moments import sampled, stored
from services.audit.pinocchio_model import Kinematics
from services.audit.row_check import Rows, read_rows
from services.catalogue import ARMS
from services.synthesis.arm.robot_model import RobotModel, robot_model
from services.synthesis.pipeline import synthesize
from tests.services.catalogue.slides import HALF, slides
from tests.services.synthesis.collision.test_collisions import SHELF, TABLE_TOP, distance_to, in_collision
from tests.services.synthesis.examples import panda, parse, random_configurations, whole
from tests.services.synthesis.pieces import fine_rows
from tests.services.synthesis.test_stored_profiles import Corners

FloatArray = NDArray[np.float64]


def _colliding(
    q: FloatArray,
    qd: FloatArray | None = None,
    keep_out: dict[str, Any] | None = None,
    robot: RobotModel | None = None,
) -> list[bool]:
    """Which of the rows (n, T, dof), a second between samples, the audit finds colliding."""
    n, samples, dof = q.shape
    speeds = np.zeros_like(q) if qd is None else qd
    named = {"joint_position": q, "joint_velocity": speeds}
    lists: dict[str, NDArray[Any]] = {
        name: values.reshape(-1, dof).astype(np.float32) for name, values in named.items()
    }
    first, ones = np.arange(n + 1) * samples, np.ones(n)
    rows = Rows(np.arange(n), first, ones, ones, lists, None)
    claims = Claims.model_validate({"self_collision": keep_out is None, "keep_out": [keep_out] if keep_out else []})
    robot = robot or panda()
    kinematics = Kinematics(robot.spec, robot.arm)
    frames = kinematics.frames(lists["joint_position"].astype(np.float64))
    collision, found = CollisionCheck(kinematics, claims), []
    for row in range(n):
        report = AuditReport("", "")
        sound = np.arange(n) == row
        collision.check(report, rows.ids, sampled(rows), sound, frames)
        (check,) = report.checks.values()
        found.append(check.violations > 0)
    return found


def test_postures_agree_with_pinocchios_own_check_of_the_meshes() -> None:
    q = random_configurations(250, seed=20)
    expected = [in_collision(posture) for posture in q]
    assert 5 < sum(expected) < 100
    assert _colliding(np.stack([q, q], axis=1)) == expected


@pytest.mark.parametrize("keep_out", [TABLE_TOP, SHELF])
def test_keep_outs_agree_with_coals_distance_of_the_meshes(keep_out: dict[str, Any]) -> None:
    q = random_configurations(150, seed=21)
    expected = [distance_to(keep_out, posture, tool=False) <= 0 for posture in q]
    assert 10 < sum(expected) < 140
    assert _colliding(np.stack([q, q], axis=1), keep_out=keep_out) == expected


def test_a_collision_between_two_samples_is_found_and_nothing_else() -> None:
    a, b = np.moveaxis(random_configurations(1400, seed=2).reshape(-1, 2, 7), 1, 0)
    share = np.linspace(0, 1, 60)[1:-1, None]
    clear_ends = np.array([not in_collision(start) and not in_collision(end) for start, end in zip(a, b, strict=True)])
    between = np.zeros(len(a), bool)
    for motion in np.flatnonzero(clear_ends):
        between[motion] = any(in_collision(q) for q in a[motion] + share * (b - a)[motion])
    assert between.sum() >= 5
    velocity = np.stack([b - a, b - a], axis=1)
    found = np.array(_colliding(np.stack([a, b], axis=1), velocity))
    assert found[between].all()
    # What it finds beyond the reference's sixty postures is a graze between two of those.
    assert (found & clear_ends & ~between).sum() <= 2


def _wall(x: float) -> dict[str, Any]:
    """A tenth of a millimetre thick, from x on, across all the way of the arm of two slides."""
    return {"kind": "box", "min": [x, -2.0, -2.0], "max": [x + 1e-4, 2.0, 2.0]}


@pytest.mark.parametrize("x", [-0.8, -0.3, 0.0, 0.45, 0.8])
def test_a_wall_that_is_passed_between_two_samples_is_found(x: float) -> None:
    q, qd = np.array([[[-0.9, 0.0], [0.9, 0.0]]]), np.array([[[1.8, 0.0], [1.8, 0.0]]])
    assert _colliding(q, qd, _wall(x), slides()) == [True]


def test_between_two_samples_a_motion_goes_as_far_as_its_velocities_take_it() -> None:
    # From -0.9 m to -0.9 m in a second, 3.6 m/s there and back: the cubic's middle is 0.9 m farther on.
    q, qd = np.full((1, 2, 2), [-0.9, 0.0]), np.array([[[3.6, 0.0], [-3.6, 0.0]]])
    for gap, found in ((-1e-5, True), (1e-5, False)):
        assert _colliding(q, qd, _wall(HALF + gap), slides()) == [found]
    # Without velocities at its ends, it stays behind a wall that is passed at half the speed.
    assert _colliding(q, qd / 2, _wall(HALF - 1e-5), slides()) == [False]


@pytest.mark.parametrize("name", ["so100", "z1", "tiago"])
def test_the_shapes_of_every_kind_of_arm_are_read_and_its_home_is_clear(name: str) -> None:
    robot = robot_model(ARMS[name])
    kinematics = Kinematics(robot.spec, robot.arm)
    home = np.tile(robot.home, (2, 1)).astype(np.float32)
    one = np.ones(1)
    rows = Rows(
        np.zeros(1, np.int64), np.array([0, 2]), one, one, {"joint_position": home, "joint_velocity": 0 * home}, None
    )
    report = AuditReport("", "")
    check = CollisionCheck(kinematics, Claims())
    check.check(report, rows.ids, sampled(rows), np.ones(1, np.bool_), kinematics.frames(home.astype(np.float64)))
    assert report.checks["self-collision"].checked == 1
    assert report.violations == 0


def test_what_is_between_slow_samples_is_found_along_the_profiles() -> None:
    body = {"robot": "panda", "count": 90, "rate_hz": 0.1, "families": {"point_to_point": 1.0}}
    request = parse(body, self_collision=False, speed_scale=[0.5, 1.0], columns=["profile_time", "profile_jerk"])
    made = synthesize(whole(request))
    corners, claims = Corners(), Claims.model_validate({"self_collision": False, "keep_out": [TABLE_TOP]})
    deepest = np.array([max(corners.deepest(q, shelf=False) for q in row.q) for row in fine_rows(made, points=3)])
    # Those that are inside, or clear, by a few centimetres; what is deep inside takes long to look at.
    chosen = np.flatnonzero((np.abs(deepest) > 0.003) & (np.abs(deepest) < 0.08))
    rows, kinematics = read_rows(made.table.take(pa.array(chosen)), 7), Kinematics(panda().spec, panda().arm)
    check, report, moments = CollisionCheck(kinematics, claims), AuditReport("", ""), stored(rows)
    check.check(report, rows.ids, moments, np.ones(len(chosen), np.bool_), kinematics.frames(moments.q))
    assert 2 < (deepest[chosen] > 0).sum() < len(chosen) - 3
    assert report.checks["keep-outs"].violations == (deepest[chosen] > 0).sum()
    # Between the same moments, cubics through the samples are other motions.
    assert len(sampled(rows).q) < len(moments.q) / 5
