"""A Panda over a table: chunks into it, and at random, end in a stop before it."""

from typing import Any

import coal
import numpy as np
import pinocchio as pin
import pytest
from numpy.typing import NDArray

from benchmarks.executor import arm_limits, chunk
from headstart_client import ChunkChecks, Executor
from headstart_client.audit import MotionAudit
from headstart_client.keepouts import Box, Keepouts
from headstart_client.kinematics import Kinematics
from headstart_client.tool_policy import ToolPath
from services.catalogue import ARMS

Array = NDArray[np.float64]
ARM, LIMITS, MARGIN = ARMS["panda"], arm_limits("panda"), 0.02
HOME = np.array(ARM.home)
TABLE = Box("table", [0.5, 0.0, -0.05], [1.0, 2.0, 0.1])
KINEMATICS = Kinematics(ARM.urdf, ARM.joints, base_frame=ARM.base_frame, tool_frame=ARM.tool_frame)
FILES: Any = ARM.files
DIRS = [FILES.root_path]


def keepouts(srdf: str | None = None, boxes: tuple[Box, ...] = (TABLE,)) -> Keepouts:
    return Keepouts(KINEMATICS, LIMITS, boxes, margin_m=MARGIN, package_dirs=DIRS, srdf=srdf)


class Meshes:
    """Distances of the moving links' own meshes to the table, with nothing of the code that is tested."""

    def __init__(self) -> None:
        self.model = pin.buildModelFromXML(ARM.urdf)
        self.geometry = pin.buildGeomFromUrdfString(
            self.model, ARM.urdf, pin.GeometryType.COLLISION, package_dirs=[str(DIRS[0])]
        )
        self.data, self.places = self.model.createData(), pin.GeometryData(self.geometry)
        self.box = coal.Box(*TABLE.size)
        self.at = coal.Transform3s(np.eye(3), np.array(TABLE.center))

    def nearest(self, joints: Array) -> float:
        pin.updateGeometryPlacements(self.model, self.data, self.geometry, self.places, joints)
        found = []
        for link, place in zip(self.geometry.geometryObjects, self.places.oMg, strict=True):
            if link.parentJoint:
                where, result = coal.Transform3s(place.rotation, place.translation), coal.DistanceResult()
                found.append(coal.distance(link.geometry, where, self.box, self.at, coal.DistanceRequest(), result))
        return float(min(found))


def straight(start: Array, offset: list[float], steps: int) -> Array:
    """Joint positions (steps, dof) along a line of the tool, an offset [m] farther at the end."""
    poses = np.repeat(KINEMATICS.poses(start[None]), steps, axis=0)
    poses[:, :3] += np.linspace(0, 1, steps)[:, None] * offset
    return ToolPath(KINEMATICS, LIMITS, 0.05).along(poses, start).joints


def test_it_stops_before_a_table_and_goes_on_when_chunks_lead_away() -> None:
    executor = Executor(LIMITS, HOME, rate_hz=500, policy_rate_hz=20, keepouts=keepouts())
    states = list[Array]()

    def run(until: int) -> None:
        while len(states) < until:
            states.append(executor.tick((len(states) + 1) / 500).state())

    executor.offer(straight(HOME, [0.0, 0.0, -0.7], 30), 0.0)
    run(545)
    # The chunk goes on downwards and the arm does not, which a policy is told: 3 steps later the path is 97 mrad away.
    prefix = executor.prefix(1.09, past=0, ahead=4)
    assert prefix is not None
    run(1000)
    assert np.array(states)[[544, 569, 594, 619], 0] == pytest.approx(prefix, abs=0.03)
    meshes, stopped = Meshes(), np.array(states)
    distances = np.array([meshes.nearest(state[0]) for state in stopped[::5]])
    # The fingers' hulls are their own, so they come as near as that; a stop begins no earlier than it has to.
    assert distances.min() == pytest.approx(MARGIN + 1e-3, abs=2e-3)
    assert distances.min() >= MARGIN
    assert not stopped[-1, 1:].any()
    reasons = [event.reason for event in executor.events if event.kind == "slowed"]
    assert any("it would come too near: panda_" in reason and "'table'" in reason for reason in reasons)
    executor.offer(straight(executor.position, [0.0, 0.0, 0.2], 30), 2.0)
    run(1700)
    assert np.abs(executor.position - stopped[-1, 0]).max() > 0.1
    assert meshes.nearest(executor.position) > MARGIN + 0.1
    audit = MotionAudit(LIMITS, executor.period)
    audit.add(np.array(states))
    assert sum(audit.violations.values()) == 0


def test_random_chunks_never_lead_into_the_table() -> None:
    rng, checks = np.random.default_rng(3), ChunkChecks(farthest_s=np.inf)
    executor = Executor(LIMITS, HOME, rate_hz=250, policy_rate_hz=20, keepouts=keepouts(), checks=checks)
    meshes, states, nearest = Meshes(), [], []
    for tick in range(1500):
        if tick % 100 == 0:
            kind = str(rng.choice(["random", "limits", "outward", "alternating"]))
            executor.offer(chunk(kind, rng, LIMITS, 0.0), tick / 250)
        states.append(executor.tick((tick + 1) / 250).state())
        if tick % 4 == 0:
            nearest.append(meshes.nearest(states[-1][0]))
    audit = MotionAudit(LIMITS, executor.period)
    audit.add(np.array(states))
    assert sum(audit.violations.values()) == 0
    assert min(nearest) >= MARGIN
    # It was stopped before the table, and moved on.
    assert min(nearest) < MARGIN + 0.03
    assert any("'table'" in event.reason for event in executor.events)
    assert np.ptp(np.array(states)[:, 0], axis=0).min() > 0.5


def test_the_arm_itself_is_kept_out_of_with_an_srdf() -> None:
    srdf = FILES.root_path / FILES.srdf_file
    folded = np.array([0.0, 0.5, 0.0, -3.0, 0.0, 0.1, 0.8])
    with_itself = keepouts(srdf.read_text(), boxes=())
    assert with_itself.clearances(HOME).min() > 0.05
    assert with_itself.clearances(folded).min() < 0.0
    executor = Executor(LIMITS, HOME, rate_hz=250, policy_rate_hz=20, keepouts=with_itself)
    executor.offer(np.linspace(HOME, folded, 30), 0.0)
    for tick in range(500):
        executor.tick((tick + 1) / 250)
    assert with_itself.clearances(executor.position).min() == pytest.approx(0.0, abs=5e-3)
    assert with_itself.clearances(executor.position).min() >= -1e-3


def test_an_arm_that_is_too_near_does_not_start() -> None:
    above = Box("shelf", [0.3, 0.0, 0.6], [0.3, 0.3, 0.1])
    with pytest.raises(ValueError, match=r"too near to what it may not touch: panda_.*'shelf'"):
        Executor(LIMITS, HOME, rate_hz=250, policy_rate_hz=20, keepouts=keepouts(boxes=(above,)))


def test_geometry_that_is_not_there_is_said() -> None:
    with pytest.raises(ValueError, match=r"link0\.stl"):
        Keepouts(KINEMATICS, LIMITS, [TABLE])
