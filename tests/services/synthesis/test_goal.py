import numpy as np
import pytest

from services.catalogue import find_arm
from services.synthesis.pipeline import ShardPlan, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.errors import RequestError, SynthesisError
from shared.rotation import rot6d_to_matrix
from tests.services.synthesis.examples import parse, row_values

BOX = {"kind": "box", "min": [-0.15, -0.3, 0.02], "max": [0.15, -0.16, 0.15]}
BODY = {"robot": "so100", "count": 30, "seed": 4, "families": {"hold": 1.0}, "workspace": BOX}


def _tilts(request: TrajectoryRequest) -> tuple[np.ndarray, np.ndarray]:
    """Positions of every sample, and angles [rad] between the tool's z axis and straight down."""
    rows = synthesize(ShardPlan(request, 0, 0, request.count))
    position = np.concatenate(row_values(rows, "ee_position", 3))
    rotation = rot6d_to_matrix(np.concatenate(row_values(rows, "ee_rotation_6d", 6)).astype(np.float64))
    return position, np.arccos(np.clip(-rotation[:, 2, 2], -1, 1))


@pytest.mark.parametrize("goal", ["position", "position_axis"])
def test_five_joints_reach_a_part_of_drawn_poses(goal: str) -> None:
    """The SO-100's tool stays in one plane with its base: straight down is a direction that it has everywhere."""
    down = {**BOX, "orientation": {"kind": "cone", "angle_deg": 0.0}}
    position, tilt = _tilts(parse(BODY, goal=goal, workspace=down))
    assert (position >= np.array(BOX["min"]) - 2e-5).all()
    assert (position <= np.array(BOX["max"]) + 2e-5).all()
    assert tilt.max() <= 1.01e-4 if goal == "position_axis" else tilt.max() > 0.1


def test_a_goal_that_five_joints_cannot_reach_is_refused_with_those_they_can() -> None:
    with pytest.raises(RequestError, match=r"/goal: so100 has 5 joints.*'position_axis'.*'position'"):
        parse(BODY)
    for workspace in ({"kind": "joint_space"}, {"kind": "reachable"}):
        assert parse(BODY, workspace=workspace).goal == "pose"
    assert parse({**BODY, "robot": "z1"}).goal == "pose"


def test_five_joints_reach_the_whole_of_poses_that_are_theirs() -> None:
    body = {"robot": "so101", "count": 60, "seed": 1, "workspace": {"kind": "reachable"}, "self_collision": False}
    rows = synthesize(ShardPlan(parse(body), 0, 0, 60))
    assert rows.rejections.get("unreachable", 0) <= 1


def test_the_advice_for_poses_out_of_reach_names_the_goals() -> None:
    box = {
        "kind": "box",
        "min": [0.5, -0.1, 0.7],
        "max": [0.7, 0.1, 0.8],
        "orientation": {"kind": "cone", "angle_deg": 0.0},
    }
    with pytest.raises(SynthesisError, match="ask for goal 'position_axis' or 'position'"):
        synthesize(ShardPlan(parse({"robot": "ur3", "count": 4, "families": {"hold": 1.0}, "workspace": box}), 0, 0, 4))


def test_the_default_goal_is_no_part_of_a_requests_identity() -> None:
    assert parse(BODY, robot="panda", goal="pose").dataset_id == parse(BODY, robot="panda").dataset_id
    assert parse(BODY, robot="panda", goal="position").dataset_id != parse(BODY, robot="panda").dataset_id
    assert find_arm("so100").joints == ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")
