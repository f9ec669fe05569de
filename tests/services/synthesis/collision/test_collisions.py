import functools
import json
from typing import Any

import coal
import numpy as np
import pinocchio as pin
import pytest

from services.catalogue.files import PackageFiles
from services.synthesis.arm.links import robot_links
from services.synthesis.arm.robot_model import robot_model
from services.synthesis.collision.capsules import link_frames
from services.synthesis.collision.collisions import colliding_postures, collisions
from services.synthesis.collision.gaps import CLEAR
from services.synthesis.collision.separations import Separations, separations
from services.synthesis.motion.timing import Profiles, parameterizer
from services.synthesis.motion.turns import posture_at, timeline
from services.synthesis.pipeline import synthesize
from shared.errors import SynthesisError
from tests.services.synthesis.collision.reference import pair_distance
from tests.services.synthesis.examples import JOINT_SPACE, panda, parse, random_configurations, row_values, shard, whole


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


def in_collision(q: np.ndarray) -> bool:
    model, geometry = _meshes_once
    return bool(
        pin.computeCollisions(
            model, _data, geometry, _geometry_data, np.concatenate([q.astype(np.float64), [0.02, 0.02]]), True
        )
    )


_meshes_once = _meshes()
_data, _geometry_data = _meshes_once[0].createData(), _meshes_once[1].createData()


def _colliding(q: np.ndarray, keep_out: list[Any] | None = None) -> bool:
    """Whether a configuration, or the motion between two at a constant speed, collides: with the arm itself, where no
    keep-outs are given."""
    apart = _separations(json.dumps(keep_out))
    if len(q) == 1:
        return bool(colliding_postures(panda(), apart, q)[0] != CLEAR)
    return bool(_collisions(apart, q[:1], q[1:], np.zeros(1, np.int64))[0] != CLEAR)


@functools.cache
def _separations(keep_out: str) -> Separations:
    """What a motion must keep apart; made once, as for a request. Of keep-outs in JSON, or "null"."""
    given = json.loads(keep_out)
    request = parse({"robot": "panda", "count": 1}, self_collision=given is None, keep_out=given or [])
    return separations(panda(), request.self_collision, request.keep_out)


def _collisions(apart: Separations, start: np.ndarray, end: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Of motions of a second each, from configurations (n, dof) to others at a constant speed."""
    n, dof = start.shape
    time = np.zeros((n, dof, 7))
    time[:, :, 0] = 1.0
    profiles = Profiles(start, end - start, np.zeros_like(start), time, np.zeros_like(time), np.ones(n))
    return collisions(panda(), apart, profiles, np.arange(n + 1), chosen)


def test_single_postures_agree_with_the_meshes() -> None:
    colliding = missed = 0
    for q in random_configurations(1500, seed=0):
        ours = _colliding(q[None])
        reference = in_collision(q)
        colliding += reference
        missed += reference and not ours
        # Hulls and the clearance only ever make ours the stricter one.
    assert colliding > 30
    assert missed == 0


def test_the_home_posture_is_free_and_the_screen_is_not_always_alarmed() -> None:
    assert not _colliding(panda().home[None])
    verdicts = [_colliding(q[None]) for q in random_configurations(500, seed=1)]
    assert 0.01 < np.mean(verdicts) < 0.12


def test_a_collision_between_two_free_postures_is_found() -> None:
    found = 0
    for a, b in random_configurations(1400, seed=2).reshape(-1, 2, 7):
        between = a + np.linspace(0, 1, 30)[:, None] * (b - a)
        if in_collision(a) or in_collision(b) or not any(in_collision(q) for q in between):
            continue
        found += 1
        assert _colliding(np.stack([a, b]))
    assert found >= 5


@pytest.mark.parametrize("robot", ["panda", "ur5", "baxter"])
def test_verdicts_on_motions_are_those_of_a_dense_walk(robot: str) -> None:
    """Clear motions keep half of each pair's clearance at every moment; of others the pair named comes within it."""
    request = parse({"robot": robot, "count": 1, "keep_out": [SHELF]})
    arm, n = robot_model(request.arm), 60
    apart, limits = separations(arm, True, request.keep_out), arm.planning_limits
    q = limits.lower + np.random.default_rng(8).random((600, arm.dof)) * (limits.upper - limits.lower)
    start, end = q[colliding_postures(arm, apart, q) == CLEAR][: 2 * n].reshape(2, n, arm.dof)
    rest = np.zeros(n)
    profiles, made = parameterizer(arm).connect(start, end, rest, np.ones(n))
    assert made.all()
    met = collisions(arm, apart, profiles, np.arange(n + 1), np.arange(n))
    assert 10 < (met != CLEAR).sum() < n - 10
    motions, posture = timeline(profiles, np.arange(n + 1), np.arange(n)), np.empty(arm.dof)
    frames = np.empty((1 + arm.frames, 12))
    for m in range(n):
        pairs = range(len(apart.first)) if met[m] == CLEAR else [met[m]]
        least = np.full(len(apart.first), np.inf)
        for t in np.linspace(0, profiles.duration[m], 25 if met[m] == CLEAR else 800):
            posture_at(motions, m, t, posture)
            link_frames(arm.chain, arm.followers, posture, frames)
            for pair in pairs:
                # The tool centre point is no shape.
                if apart.first[pair] < len(apart.bodies.shapes):
                    least[pair] = min(least[pair], pair_distance(apart, pair, frames))
        if met[m] == CLEAR:
            assert (least >= apart.clearance / 2).all()
        elif np.isfinite(least[met[m]]):
            assert least[met[m]] <= apart.clearance[met[m]] + 2e-3


def test_unmarked_rows_are_not_checked() -> None:
    q = np.stack([next(q for q in random_configurations(500, seed=3) if in_collision(q))] * 3)
    met = _collisions(separations(panda(), True, ()), q, q, np.array([0, 2]))
    assert (met != CLEAR).tolist() == [True, False, True]


TABLE_TOP: dict[str, Any] = {"kind": "half_space", "normal": [0.0, 0.0, 2.0], "offset": 0.1}
SHELF: dict[str, Any] = {"kind": "box", "min": [0.3, -0.2, 0.4], "max": [0.6, 0.5, 0.45]}


def distance_to(keep_out: dict[str, Any], q: np.ndarray, tool: bool = True) -> float:
    """Least distance [m] of the moving links' meshes, and the tool, from a keep-out, by Coal on Pinocchio's model."""
    model, geometry = _meshes_once
    pin.framesForwardKinematics(model, _data, np.concatenate([q.astype(np.float64), [0.02, 0.02]]))
    pin.updateGeometryPlacements(model, _data, geometry, _geometry_data)
    low = np.array(keep_out.get("min", [-5.0, -5.0, -5.0]))
    high = np.array(keep_out.get("max", [5.0, 5.0, keep_out.get("offset")]))
    box, where = coal.Box(high - low), coal.Transform3s(np.eye(3), (low + high) / 2)
    tip = _data.oMf[model.getFrameId("panda_hand_tcp")].translation
    least = float(np.linalg.norm(np.maximum(np.maximum(low - tip, tip - high), 0))) if tool else np.inf
    for item, placement in zip(geometry.geometryObjects, _geometry_data.oMg, strict=True):
        if item.parentJoint > 0:
            mesh_at, result = coal.Transform3s(placement.rotation, placement.translation), coal.DistanceResult()
            distance = coal.distance(item.geometry, mesh_at, box, where, coal.DistanceRequest(), result)
            least = min(least, float(distance))
    return least


@pytest.mark.parametrize("keep_out", [TABLE_TOP, SHELF])
def test_postures_in_a_keep_out_agree_with_the_meshes(keep_out: dict[str, Any]) -> None:
    inside = 0
    for q in random_configurations(400, seed=5):
        distance = distance_to(keep_out, q)
        inside += distance <= 0
        ours = _colliding(q[None], [keep_out])
        assert ours or distance > 0
        # Hulls of this arm are within 2 cm of its meshes.
        assert not ours or distance < 0.022
    assert inside > 40


@pytest.mark.parametrize("keep_out", [TABLE_TOP, SHELF])
def test_a_keep_out_entered_between_two_free_postures_is_found(keep_out: dict[str, Any]) -> None:
    found = 0
    for a, b in random_configurations(600, seed=6).reshape(-1, 2, 7):
        between = a + np.linspace(0, 1, 30)[:, None] * (b - a)
        if _colliding(a[None], [keep_out]) or _colliding(b[None], [keep_out]):
            continue
        if not any(distance_to(keep_out, q) <= 0 for q in between[::3]):
            continue
        found += 1
        assert _colliding(np.stack([a, b]), [keep_out])
    assert found >= 5


def test_the_base_may_stand_in_a_table_and_a_keep_out_around_everything_stops_early() -> None:
    standing = {"kind": "half_space", "normal": [0, 0, 1], "offset": 0.05}
    request = parse({"robot": "panda", "count": 60, "keep_out": [standing]})
    rows = synthesize(whole(request))
    assert rows.redraws_by_family["via_points"]["keep_out"] > 10
    assert min(values[:, 2].min() for values in row_values(rows, "ee_position", 3)) > 0.05
    everywhere = {"kind": "box", "min": [-2, -2, -2], "max": [2, 2, 2]}
    with pytest.raises(SynthesisError, match=r"none of \d+ candidates .* 'keep_out': links enter") as caught:
        synthesize(whole(parse({"robot": "panda", "count": 4000, "keep_out": [everywhere]})))
    assert set(caught.value.rejections) == {"keep_out", "self_collision"}
    assert caught.value.rejections["keep_out"] > 1800


@pytest.mark.parametrize("name", ["table", "joint_space"])
def test_accepted_rows_are_free_on_the_meshes(name: str) -> None:
    _, rows = shard(name)
    checked = 0
    for q in row_values(rows, "joint_position", 7):
        checked += len(q)
        assert not any(in_collision(configuration) for configuration in q[::3])
    assert checked > 10_000


def test_rejections_name_it_and_it_can_be_switched_off() -> None:
    _, rows = shard("joint_space")
    assert rows.redraws_by_family["via_points"]["self_collision"] > 0
    off = synthesize(whole(parse(JOINT_SPACE, count=40, self_collision=False)))
    assert not any("self_collision" in reasons for reasons in (off.rejections, *off.redraws_by_family.values()))
    # What is not looked at happens.
    assert any(in_collision(q) for values in row_values(off, "joint_position", 7) for q in values[::5])


def test_capsules_and_reach_contain_the_links() -> None:
    links = robot_links(panda())
    assert len(links.pairs) == 20
    for hull, capsule in zip(links.hulls, links.capsules, strict=True):
        points = np.array([hull.point(i) for i in range(hull.num_points)])
        a, b, radius = capsule[:3], capsule[3:6], capsule[6]
        along = np.clip((points - a) @ (b - a) / max((b - a) @ (b - a), 1e-12), 0, 1)
        assert (np.linalg.norm(points - (a + along[:, None] * (b - a)), axis=1) <= radius + 1e-9).all()
        assert isinstance(hull, coal.ConvexBase)
    # In no posture is the tool farther from the axis of a joint than what a radian of that joint can move it.
    bodies = separations(panda(), True, ()).bodies
    model, data = panda().model, panda().model.createData()
    for q in random_configurations(200, seed=4):
        pin.framesForwardKinematics(model, data, q)
        jacobian = pin.computeFrameJacobian(model, data, q, panda().tool_frame_id, pin.LOCAL_WORLD_ALIGNED)
        assert (np.linalg.norm(jacobian[:3], axis=0) <= bodies.reach[-1] + 1e-9).all()
    assert (bodies.reach[:-1] == links.reach).all()
    assert (bodies.reach[:-1] > 0).sum(1).tolist() == (links.joint + 1).tolist()
