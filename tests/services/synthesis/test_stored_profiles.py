"""Keep-outs hold on the motion that was written, at every moment and whatever rate_hz: on the stored profiles, walked
densely by Pinocchio with the corners of the arm's own meshes."""

from typing import Any

import numpy as np
import pinocchio as pin
import pytest
from numpy.typing import NDArray

from services.synthesis.pipeline import ShardPlan, synthesize
from tests.services.synthesis.collision.test_collisions import SHELF, TABLE_TOP
from tests.services.synthesis.examples import panda, parse
from tests.services.synthesis.pieces import fine_rows

FloatArray = NDArray[np.float64]

SOLIDS: list[dict[str, Any]] = [TABLE_TOP, SHELF]


class Corners:
    """The corners of the links that move, and the tool centre point."""

    def __init__(self) -> None:
        files: Any = panda().arm.files
        self.model = pin.buildModelFromUrdf(str(files.urdf_path))
        geometry = pin.buildGeomFromUrdf(
            self.model, str(files.urdf_path), pin.GeometryType.COLLISION, package_dirs=[str(files.root_path)]
        )
        moving = [item for item in geometry.geometryObjects if item.parentJoint > 0]
        self.parts = [(item.parentJoint, _moved(item.placement, _vertices(item.geometry))) for item in moving]
        self.tool = self.model.getFrameId("panda_hand_tcp")
        self.data = self.model.createData()

    def deepest(self, q: FloatArray, shelf: bool = True) -> float:
        """How deep [m] any of them is in a solid in a configuration; not above 0 where none is inside."""
        pin.framesForwardKinematics(self.model, self.data, np.concatenate([q, [0.02, 0.02]]))
        placed = [_moved(self.data.oMi[joint], points) for joint, points in self.parts]
        points = np.concatenate([*placed, self.data.oMf[self.tool].translation[None]])
        in_table = 0.1 - points[:, 2]
        if not shelf:
            return float(in_table.max())
        in_shelf = np.minimum(points - SHELF["min"], np.array(SHELF["max"]) - points).min(1)
        return float(max(in_table.max(), in_shelf.max()))


def _moved(placement: Any, points: FloatArray) -> FloatArray:
    return np.asarray(points @ placement.rotation.T + placement.translation)


def _vertices(shape: Any) -> FloatArray:
    """Corners of a mesh or a box; a cylinder's or a sphere's lie on its surface all around."""
    if hasattr(shape, "vertices"):
        return np.array(shape.vertices())
    if hasattr(shape, "halfSide"):
        signs: FloatArray = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
        return np.asarray(signs * shape.halfSide)
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1) * shape.radius
    half = getattr(shape, "halfLength", 0.0)
    ends = [ring + np.array([0, 0, z]) for z in (-half, 0.0, half)]
    poles = np.array([[0, 0, shape.radius], [0, 0, -shape.radius]]) if half == 0.0 else np.zeros((0, 3))
    return np.asarray(np.concatenate([*ends, poles]), np.float64)


def deepest(rate_hz: float, rows: int, spacing: float = 0.01, first: int = 0) -> float:
    """How deep any of the accepted rows gets on its stored profile, looked at every `spacing` seconds."""
    body = {"robot": "panda", "count": 10**6, "keep_out": SOLIDS, "columns": ["profile_time", "profile_jerk"]}
    request = parse(body, rate_hz=rate_hz, self_collision=False, speed_scale=[0.3, 1.0])
    corners, worst = Corners(), -np.inf
    for row in fine_rows(synthesize(ShardPlan(request, 0, first, rows)), points=9):
        last = -np.inf
        for t, q in zip(row.t, row.q, strict=True):
            if t - last >= spacing:
                worst, last = max(worst, corners.deepest(q)), t
    return worst


@pytest.mark.parametrize("rate_hz", [0.5, 1.0, 2.0, 20.0])
def test_stored_profiles_stay_out_of_keep_outs_at_any_rate(rate_hz: float) -> None:
    assert -0.05 < deepest(rate_hz, 50, 0.02) <= 0.0


def test_the_same_rows_are_accepted_at_every_rate() -> None:
    body = {"robot": "panda", "count": 60, "keep_out": SOLIDS, "columns": ["profile_time", "profile_jerk"]}
    slow, fast = (synthesize(ShardPlan(parse(body, rate_hz=rate), 0, 0, 60)) for rate in (0.5, 100.0))
    assert slow.table["profile_time"].equals(fast.table["profile_time"])
    assert slow.rejections == fast.rejections
