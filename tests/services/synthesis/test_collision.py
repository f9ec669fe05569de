import coal
import numpy as np
import pinocchio as pin
import pytest

from services.catalogue.files import PackageFiles
from services.synthesis.collision import self_colliding
from services.synthesis.links import robot_links
from services.synthesis.validation import Samples
from shared.records import list_column
from tests.services.synthesis.examples import panda, parse, random_configurations, row_values, shard


def _meshes() -> tuple[pin.Model, pin.GeometryModel]:
    """The arm's own collision meshes in Pinocchio, with the pairs its SRDF leaves."""
    files = panda().arm.files
    assert isinstance(files, PackageFiles)
    assert files.srdf_file is not None
    urdf, root = str(files.urdf_path), files.root_path
    model = pin.buildModelFromUrdf(urdf)
    geometry = pin.buildGeomFromUrdf(model, urdf, pin.GeometryType.COLLISION, package_dirs=[str(root)])
    geometry.addAllCollisionPairs()
    pin.removeCollisionPairs(model, geometry, str(root / files.srdf_file))
    return model, geometry


def _in_collision(q: np.ndarray) -> bool:
    model, geometry = _meshes_once
    return bool(
        pin.computeCollisions(
            model, _data, geometry, _geometry_data, np.concatenate([q.astype(np.float64), [0.02, 0.02]]), True
        )
    )


_meshes_once = _meshes()
_data, _geometry_data = _meshes_once[0].createData(), _meshes_once[1].createData()


def _rows(q: np.ndarray, qd: np.ndarray | None = None) -> Samples:
    """One row through the given configurations."""
    n = len(q)
    empty = np.zeros((0, 7), np.float32)
    speeds = np.zeros((n, 7), np.float32) if qd is None else qd.astype(np.float32)
    position, rotation = np.zeros((n, 3), np.float32), np.zeros((n, 6), np.float32)
    return Samples(np.array([0, n]), q.astype(np.float32), speeds, empty, position, rotation, np.zeros(n, np.float32))


def test_single_postures_agree_with_the_meshes() -> None:
    colliding = missed = 0
    for q in random_configurations(1500, seed=0):
        ours = bool(self_colliding(panda(), _rows(q[None]), np.ones(1, np.bool_), 20.0)[0])
        reference = _in_collision(q)
        colliding += reference
        missed += reference and not ours
        # Hulls and the clearance only ever make ours the stricter one.
    assert colliding > 30
    assert missed == 0


def test_the_home_posture_is_free_and_the_screen_is_not_always_alarmed() -> None:
    assert not self_colliding(panda(), _rows(panda().home[None]), np.ones(1, np.bool_), 20.0)[0]
    verdicts = [
        self_colliding(panda(), _rows(q[None]), np.ones(1, np.bool_), 20.0)[0]
        for q in random_configurations(500, seed=1)
    ]
    assert 0.01 < np.mean(verdicts) < 0.12


def test_a_collision_between_two_samples_is_found() -> None:
    # Find two free postures whose straight connection collides, then offer only the two ends as samples.
    found = 0
    for a, b in random_configurations(1400, seed=2).reshape(-1, 2, 7):
        between = a + np.linspace(0, 1, 30)[:, None] * (b - a)
        if _in_collision(a) or _in_collision(b) or not any(_in_collision(q) for q in between):
            continue
        found += 1
        velocity = np.stack([b - a, b - a])
        assert self_colliding(panda(), _rows(np.stack([a, b]), velocity), np.ones(1, np.bool_), 1.0)[0]
    assert found >= 5


def test_unmarked_rows_are_not_checked() -> None:
    colliding = next(q for q in random_configurations(500, seed=3) if _in_collision(q))
    assert self_colliding(panda(), _rows(colliding[None]), np.ones(1, np.bool_), 20.0)[0]
    assert not self_colliding(panda(), _rows(colliding[None]), np.zeros(1, np.bool_), 20.0)[0]


@pytest.mark.parametrize("name", ["table", "joint_space"])
def test_accepted_rows_are_free_on_the_meshes(name: str) -> None:
    _, rows = shard(name)
    checked = 0
    for q, qd in zip(row_values(rows, "joint_position", 7), row_values(rows, "joint_velocity", 7), strict=True):
        checked += len(q)
        assert not any(_in_collision(configuration) for configuration in q[::3])
        assert len(qd) == len(q)
    assert checked > 10_000


def test_rejections_name_it_and_it_can_be_switched_off() -> None:
    _, rows = shard("joint_space")
    assert rows.rejections["self_collision"] > 0
    assert len(list_column(rows.table, "gripper")[0]) > 0
    assert not parse({"robot": "panda", "count": 1}, self_collision=False).self_collision


def test_capsules_and_reach_contain_the_links() -> None:
    links = robot_links(panda())
    assert len(links.pairs) == 20
    for hull, capsule in zip(links.hulls, links.capsules, strict=True):
        points = np.array([hull.point(i) for i in range(hull.num_points)])
        a, b, radius = capsule[:3], capsule[3:6], capsule[6]
        along = np.clip((points - a) @ (b - a) / max((b - a) @ (b - a), 1e-12), 0, 1)
        assert (np.linalg.norm(points - (a + along[:, None] * (b - a)), axis=1) <= radius + 1e-9).all()
        assert isinstance(hull, coal.ConvexBase)
    # The tool is a point behind every joint: in no posture is it farther from a joint than that joint's reach.
    model, data = panda().model, panda().model.createData()
    for q in random_configurations(200, seed=4):
        pin.framesForwardKinematics(model, data, q)
        for joint in range(7):
            offset = data.oMf[panda().tool_frame_id].translation - data.oMi[joint + 1].translation
            assert np.linalg.norm(offset) <= links.reach[joint] + 1e-9
