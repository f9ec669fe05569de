"""Prints content hashes of rows of every workspace, family and goal: `python -m tests.services.synthesis.everything`.

Processes print them under other features of the processor; they are to be the same.
"""

import json
from typing import Any

from services.synthesis.pipeline import plan_shards, synthesize
from services.synthesis.request.families import WAYPOINT_FAMILIES
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.records import content_hash
from tests.shared.summary_example import example_summary
from tests.stacking import RATE_HZ, motions

ROWS = 20
_DOWN = {"rotation_6d": [1.0, 0.0, 0.0, 0.0, -1.0, 0.0]}
_POSES = [{"position": [x, y, z], **_DOWN} for x, y, z in ((0.5, 0.2, 0.3), (0.5, -0.2, 0.3), (0.4, 0.0, 0.5))]
_BOX = {"kind": "box", "min": [0.35, -0.25, 0.1], "max": [0.6, 0.25, 0.4]}
_ALL: dict[str, Any] = {
    "robot": "panda",
    "families": dict.fromkeys(WAYPOINT_FAMILIES, 1.0),
    "columns": ["joint_acceleration", "profile_time", "profile_jerk"],
    "seed": 5,
}
_SOLIDS = [
    {"kind": "half_space", "normal": [0.04, 0.16, 1.0], "offset": -0.05},
    {"kind": "box", "min": [0.7, -0.1, 0.0], "max": [0.8, 0.1, 0.4]},
]
REQUESTS: dict[str, dict[str, Any]] = {
    "joint_space": {"via_velocity": [0.3, 1.0]},
    "reachable": {"workspace": {"kind": "reachable"}, "tool_speed": [0.1, 0.5]},
    "box": {"workspace": _BOX, "keep_out": _SOLIDS},
    "poses": {"workspace": {"kind": "poses", "poses": _POSES, "jitter": {"position": 0.02, "angle_deg": 10.0}}},
    "fitted": {"workspace": {"kind": "fitted", "summary": example_summary()}},
    "ur5": {"robot": "ur5", "workspace": {"kind": "reachable"}},
    "axis": {"workspace": _BOX, "goal": "position_axis"},
    "position": {"workspace": _BOX, "goal": "position"},
}


def bodies(rows: int, motions_sha256: str) -> dict[str, dict[str, Any]]:
    """Requests of so many rows each: REQUESTS, and one for copies of the demonstrations with this hash."""
    jitter = {"position": 0.02, "angle_deg": 8.0}
    workspace = {"kind": "objects", "motions": motions_sha256, "start_jitter": jitter}
    copies = {"robot": "panda", "count": rows, "rate_hz": RATE_HZ, "workspace": workspace}
    return {**{name: {**_ALL, "count": rows, **request} for name, request in REQUESTS.items()}, "objects": copies}


def hashes(rows: int) -> dict[str, str]:
    """The content hash of so many rows of each request, and of copies."""
    of = motions(3)
    find = {of.content_sha256: of}.get
    return {
        name: _hash(TrajectoryRequest.parse(body, motions=find))
        for name, body in bodies(rows, of.content_sha256).items()
    }


def _hash(request: TrajectoryRequest) -> str:
    return content_hash(synthesize(plan_shards(request)[0]).table)


if __name__ == "__main__":
    print(json.dumps(hashes(ROWS)))
