"""Bodies of rows, for looking at them."""

from typing import Any, Literal

from pydantic import BaseModel

from services.api.schemas.fields import field

_JOINTS = [0.3185104, 1.7475479, 2.5550499, -1.9, 0.4, 2.1, 0.9]
_SEGMENT = {"kind": "object", "object": "cube"}
_POSES = {"position": [[0.48, 0.3, 0.02]], "rotation_6d": [[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]]}


class TrajectoryBody(BaseModel):
    """One trajectory; arrays have a row for each sample. Values are rounded to 1e-7."""

    trajectory_id: int = field("its place among the dataset's trajectories, from 0", 7, "index")
    family: str = field("its motion family", "via_points")
    attempts: int = field("candidates drawn until this one was accepted", 1, "count")
    length: int = field("samples in it", 139, "count")
    duration: float = field("how long it takes", 6.875, "s")
    rate_hz: float = field("samples a second", 20.0, "Hz")
    joint_position: list[list[float]] = field("position of each joint, at each sample", [_JOINTS], "rad or m")
    joint_velocity: list[list[float]] = field("velocity of each joint, at each sample", [_JOINTS], "rad/s or m/s")
    ee_position: list[list[float]] = field(
        "the tool centre point in the base frame, at each sample", [[0.4803669, 0.3030725, 0.2398931]], "m"
    )
    ee_rotation_6d: list[list[float]] = field(
        "first two rows of the tool's rotation matrix in the base frame, at each sample",
        [[1.0, 0.0, 0.0, 0.0, -1.0, 0.0]],
        "1",
    )
    gripper: list[float] = field("what the gripper is told at each sample: 1 close, -1 open", [-1.0, -1.0, 1.0], "1")


class ObjectPosesBody(BaseModel):
    """Where an object is, in the base frame."""

    position: list[list[float]] = field("its origin, at each sample", _POSES["position"], "m")
    rotation_6d: list[list[float]] = field(
        "first two rows of its rotation matrix, at each sample", _POSES["rotation_6d"], "1"
    )


class SegmentBody(BaseModel):
    """Consecutive steps of a demonstration."""

    kind: Literal["free", "fixed", "object"] = field(
        "free, relative to the robot's base as a place that never moves, or relative to an object", "object"
    )
    object: str | None = field("name of that object", "cube")


class DemonstrationBody(BaseModel):
    """A demonstration."""

    name: str = field("what its file calls it", "demo_0")
    segments: list[SegmentBody] = field("its segments, in order of time", [_SEGMENT])


class CopyBody(TrajectoryBody):
    """One trajectory of a dataset of copies."""

    source: int = field("the demonstration that it is a copy of, by its place in the motions file", 0, "index")
    demonstration: DemonstrationBody = field("that demonstration", {"name": "demo_0", "segments": [_SEGMENT]})
    source_time: list[float] = field(
        "which of its steps a sample is at, as a number with a fraction", [0.0, 0.98, 1.97], "steps"
    )
    segment: list[int] = field("which of its segments a sample is in", [0, 0, 1], "index")
    objects: dict[str, ObjectPosesBody] = field("where each object is, by its name", {"cube": _POSES}, "mixed")


class PreviewBody(BaseModel):
    """Trajectories made at once and kept nowhere."""

    robot: dict[str, Any] = field(
        "the robot: names of its joints, their limits (rad or m, and seconds), its frames",
        {"name": "panda", "base_frame": "panda_link0", "tool_frame": "panda_hand_tcp"},
        "mixed",
    )
    attempts: int = field("candidates tried", 3, "count")
    rejections: dict[str, int] = field("candidates that failed, by reason", {"self_collision": 1}, "count")
    trajectories: list[CopyBody | TrajectoryBody] = field(
        "the trajectories, as TrajectoryBody or, of copies, CopyBody has them", [], "mixed"
    )
