"""Requests the synthesis tests share, and a shard of each made once."""

import functools
import itertools
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.catalogue import find_arm
from services.synthesis.arm.robot_model import RobotModel, robot_model
from services.synthesis.candidates import make_batch
from services.synthesis.draw.sampling import Candidates
from services.synthesis.pipeline import ShardPlan, ShardRows, synthesize
from services.synthesis.ranges import action_range
from services.synthesis.request.families import WAYPOINT_FAMILIES
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.records import list_column
from tests.shared.summary_example import example_summary

TABLE = {
    "robot": "panda",
    "count": 150,
    "families": {"via_points": 1.0},
    "workspace": {"kind": "box", "min": [0.3, -0.3, -0.1], "max": [0.75, 0.3, 0.3]},
    "tool_speed": [0.1, 0.35],
    "columns": ["joint_acceleration", "profile_time", "profile_jerk"],
}
REACHABLE = {
    "robot": "panda",
    "count": 200,
    "seed": 3,
    "workspace": {"kind": "reachable"},
    "speed_scale": [0.5, 1.0],
    "self_collision": False,
    "columns": ["joint_acceleration", "profile_time", "profile_jerk"],
}
JOINT_SPACE = {"robot": "panda", "count": 120, "seed": 2**63 - 1, "rate_hz": 50.0}
HOLD = {**TABLE, "count": 60, "families": {"hold": 1.0}}
LINES = {**TABLE, "count": 60, "families": {"cartesian_line": 1.0}}
PLACES = {**TABLE, "count": 30, "families": {"pick_and_place": 1.0}}
ALL_FAMILIES = {
    **REACHABLE,
    "count": 90,
    "families": dict.fromkeys(WAYPOINT_FAMILIES, 1.0),
    "via_velocity": [0.3, 1.0],
    "tool_speed": [0.05, 0.5],
    "self_collision": True,
}
FITTED = {
    "robot": "panda",
    "count": 120,
    "seed": 4,
    "families": dict.fromkeys(WAYPOINT_FAMILIES, 1.0),
    "workspace": {"kind": "fitted", "summary": example_summary()},
    "columns": ["joint_acceleration", "profile_time", "profile_jerk"],
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "table": TABLE,
    "reachable": REACHABLE,
    "joint_space": JOINT_SPACE,
    "hold": HOLD,
    "lines": LINES,
    "places": PLACES,
    "all_families": ALL_FAMILIES,
    "fitted": FITTED,
}


def panda() -> RobotModel:
    return robot_model(find_arm("panda"))


def parse(body: dict[str, Any], **changes: Any) -> TrajectoryRequest:
    return TrajectoryRequest.parse({**body, **changes})


def whole(request: TrajectoryRequest) -> ShardPlan:
    """All rows of a request as one shard."""
    return ShardPlan(request, 0, 0, request.count)


def shard(name: str) -> tuple[TrajectoryRequest, ShardRows]:
    """An example's request and rows, made once."""
    return _shard(json.dumps(EXAMPLES[name]))


def accepted_candidates(request: TrajectoryRequest, rows: ShardRows) -> Candidates:
    """The candidates that became a shard's rows, their targets as they were redrawn."""
    robot, ids = robot_model(request.arm), rows.table["trajectory_id"].to_numpy()
    attempts = rows.table["attempts"].to_numpy().astype(np.int64) - 1
    batch = make_batch(request, robot, action_range(request), ids, attempts)
    assert not any(batch.reasons)
    assert isinstance(batch.candidates, Candidates)
    return batch.candidates


@functools.lru_cache
def _shard(body: str) -> tuple[TrajectoryRequest, ShardRows]:
    request = TrajectoryRequest.parse(json.loads(body))
    return request, synthesize(whole(request))


def row_values(rows: ShardRows, column: str, width: int) -> list[NDArray[Any]]:
    """A list column as one (T, width) array for each row."""
    values, offsets = list_column(rows.table, column)
    return [values[a:b].reshape(-1, width) for a, b in itertools.pairwise(offsets)]


def random_configurations(n: int, seed: int) -> NDArray[np.float64]:
    limits = panda().planning_limits
    rng = np.random.default_rng(seed)
    return limits.lower + rng.random((n, panda().dof)) * (limits.upper - limits.lower)
