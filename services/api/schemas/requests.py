"""The request's part of the OpenAPI document: properties are described by the docstrings of its models."""

from typing import Any

from services.api.schemas.fields import UNIT, schema_components, with_unit
from services.catalogue import ARMS
from services.catalogue.robot_folder import OWN_NAME
from services.synthesis.request.trajectory_request import TrajectoryRequest
from services.synthesis.request.workspace import RequestPart
from shared.summary import FORMAT

_SHA256 = "9f0d2c41a6b1e0a5a1c8f3a0f0a7d5b2f6c3b1d4e8a9c0b7d6e5f4a3b2c1d0e9"
_DOWN = [0.0, 0.0, -1.0]
_POSE = {"position": [0.5, 0.0, 0.3], "quat_xyzw": [1.0, 0.0, 0.0, 0.0]}
_SPAN = {"min": [0.4, -0.1], "max": [0.6, 0.1], "yaw_deg": [-30.0, 30.0]}
_TABLE = {"kind": "half_space", "normal": [0.0, 0.0, 1.0], "offset": 0.0}
_SAID: dict[str, dict[str, tuple[Any, str | None]]] = {
    "TrajectoryRequest": {
        "robot": ("panda", None),
        "count": (2000, "count"),
        "seed": (0, "1"),
        "rate_hz": (20.0, "Hz"),
        "families": ({"point_to_point": 0.5, "via_points": 0.5}, "1"),
        "workspace": ({"kind": "reachable"}, "mixed"),
        "goal": ("pose", None),
        "speed_scale": ([0.1, 1.0], "1"),
        "tool_speed": ([0.1, 0.35], "m/s"),
        "via_velocity": ([0.0, 0.5], "1"),
        "self_collision": (True, None),
        "keep_out": ([_TABLE], "m"),
        "columns": (["joint_acceleration"], None),
        "shard_rows": (500, "count"),
    },
    "Cone": {"axis": (_DOWN, "1"), "angle_deg": (30.0, "deg")},
    "Extent": {"min": ([0.3, -0.3, 0.1], "m"), "max": ([0.6, 0.3, 0.5], "m")},
    "Box": {"orientation": ({"kind": "cone", "axis": _DOWN, "angle_deg": 30.0}, "mixed")},
    "Pose": {
        "position": (_POSE["position"], "m"),
        "quat_xyzw": (_POSE["quat_xyzw"], "1"),
        "rotation_6d": ([1.0, 0.0, 0.0, 0.0, -1.0, 0.0], "1"),
    },
    "Jitter": {"position": (0.01, "m"), "angle_deg": (5.0, "deg")},
    "Poses": {
        "poses": ([_POSE, {**_POSE, "position": [0.4, 0.2, 0.3]}], "mixed"),
        "jitter": ({"position": 0.01, "angle_deg": 5.0}, "mixed"),
    },
    "ChainJitter": {
        "shift": (0.02, "m"),
        "position": (0.005, "m"),
        "angle_deg": (3.0, "deg"),
        "speed": (0.1, "1"),
        "dwell": (0.2, "1"),
    },
    "Fitted": {
        "summary": ({"format": FORMAT, "version": 1}, "mixed"),
        "jitter": ({"shift": 0.02, "position": 0.005, "angle_deg": 3.0}, "mixed"),
    },
    "ObjectSpan": {
        "min": (_SPAN["min"], "m"),
        "max": (_SPAN["max"], "m"),
        "yaw_deg": (_SPAN["yaw_deg"], "deg"),
        "height": ([0.02, 0.05], "m"),
        "size": ([0.04, 0.04, 0.04], "m"),
    },
    "Objects": {
        "motions": (_SHA256, None),
        "objects": ({"cube": _SPAN}, "mixed"),
        "widen": (0.05, "m"),
        "least_distance": (0.08, "m"),
        "start_jitter": ({"position": 0.02, "angle_deg": 5.0}, "mixed"),
        "source": ("nearest", None),
    },
    "HalfSpace": {"normal": (_TABLE["normal"], "1"), "offset": (0.0, "m")},
}
"""An example of each property, and the unit of its numbers, by the class that declares it."""
_KIND = "which kind of object this is"


def request_components() -> dict[str, Any]:
    """The schema of a trajectory request and those it refers to, as components of an OpenAPI document."""
    components = schema_components(TrajectoryRequest)
    for model in _parts(RequestPart):
        for name, schema in components.get(model.__name__, {}).get("properties", {}).items():
            schema |= _property(model, name)
    components["TrajectoryRequest"]["properties"]["robot"] |= {
        "description": "one of the catalogue, or the name that uploading a robot answered",
        "anyOf": [{"enum": sorted(ARMS)}, {"type": "string", "pattern": OWN_NAME}],
    }
    return components


def _parts(model: type[RequestPart]) -> list[type[RequestPart]]:
    """A model and all that are derived from it."""
    return [model, *(part for derived in model.__subclasses__() for part in _parts(derived))]


def _property(model: type[RequestPart], name: str) -> dict[str, Any]:
    """What is said of a property."""
    if name == "kind":
        return {"description": _KIND, "examples": [model.model_fields[name].annotation.__args__[0]]}  # type: ignore[union-attr]
    declared = next(
        part for part in model.mro() if issubclass(part, RequestPart) and name in _SAID.get(part.__name__, {})
    )
    example, unit = _SAID[declared.__name__][name]
    return {
        "description": with_unit(declared.described()[name], unit),
        "examples": [example],
        **({UNIT: unit} if unit else {}),
    }
