import json
import math
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.errors import RequestError
from tests.services.synthesis.examples import EXAMPLES, TABLE

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
KEYS = [
    *TrajectoryRequest.model_fields,
    *("kind", "min", "max", "orientation", "axis", "angle_deg", "point_to_point", "poses", "quat_xyzw"),
]

FLOOR = {"kind": "half_space", "normal": [0, 0, 1], "offset": 0.0}


def test_defaults_are_left_out_of_what_identifies_the_data() -> None:
    plain = TrajectoryRequest.parse({"robot": "panda", "count": 7})
    spelled = {name: value for name, value in plain.model_dump(mode="json").items()}
    assert TrajectoryRequest.parse(spelled).dataset_id == plain.dataset_id
    assert set(plain.resolved()) == {"robot", "count", "shard_rows", "generator_version"}
    assert len(plain.resolved()["robot"]["sha256"]) == 64


def test_an_integer_rate_is_the_same_request() -> None:
    twenty = TrajectoryRequest.parse({"robot": "panda", "count": 7, "rate_hz": 25})
    assert twenty.dataset_id == TrajectoryRequest.parse({"robot": "panda", "count": 7, "rate_hz": 25.0}).dataset_id


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"count": 8}, {"rate_hz": 10.0}, {"families": {"via_points": 1}}, {"shard_rows": 5}]
)
def test_another_request_has_another_id(change: dict[str, Any]) -> None:
    base = {"robot": "panda", "count": 7}
    assert TrajectoryRequest.parse(base).dataset_id != TrajectoryRequest.parse({**base, **change}).dataset_id


def test_a_request_crosses_processes_and_json() -> None:
    for body in EXAMPLES.values():
        request = TrajectoryRequest.parse(body)
        assert pickle.loads(pickle.dumps(request)) == request
        assert TrajectoryRequest.parse(json.loads(request.model_dump_json())) == request


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"robot": "panda2"}, "/robot"),
        ({"count": 0}, "/count"),
        ({"count": 10**9 + 1}, "/count"),
        ({"count": True}, "/count"),
        ({"count": 5.0}, "/count"),
        ({"count": "5"}, "/count"),
        ({"seed": -1}, "/seed"),
        ({"seed": 2**63}, "/seed"),
        ({"rate_hz": math.nan}, "/rate_hz"),
        ({"rate_hz": 0.05}, "/rate_hz"),
        ({"families": {}}, "/families"),
        ({"families": {"point_to_point": 0}}, "/families"),
        ({"families": {"point_to_point": -1}}, "/families/point_to_point"),
        ({"families": {"dance": 1}}, "/families/dance"),
        ({"speed_scale": [1.0, 0.5]}, "/speed_scale"),
        ({"speed_scale": [0.0, 0.5]}, "/speed_scale/0"),
        ({"tool_speed": [0.1]}, "/tool_speed/1"),
        ({"via_velocity": [0.5, 1.5]}, "/via_velocity/1"),
        ({"via_velocity": [0.5, 0.2]}, "/via_velocity"),
        ({"columns": ["torque"]}, "/columns"),
        ({"columns": ["profile_time"]}, "/columns"),
        ({"shard_rows": 0}, "/shard_rows"),
        ({"extra": 1}, "/extra"),
        ({"a/b~c": 1}, "/a~1b~0c"),
        ({"workspace": {"kind": "sphere"}}, "/workspace"),
        ({"workspace": {"kind": "box", "min": [0, 0, 0], "max": [1, 0, 1]}}, "/workspace"),
        ({"workspace": {"kind": "box", "min": [0, 0, math.inf], "max": [1, 1, 1]}}, "/workspace/min/2"),
        (
            {"workspace": {**TABLE["workspace"], "orientation": {"kind": "cone", "angle_deg": 181}}},  # type: ignore[dict-item]
            "/workspace/orientation/angle_deg",
        ),
        (
            {"workspace": {**TABLE["workspace"], "orientation": {"kind": "cone", "axis": [0, 0, 0]}}},  # type: ignore[dict-item]
            "/workspace/orientation/axis",
        ),
        ({"keep_out": [{"kind": "sphere"}]}, "/keep_out/0"),
        ({"keep_out": [FLOOR, {"kind": "box", "min": [0, 0, "0"], "max": [1, 1, 1]}]}, "/keep_out/1/min/2"),
        ({"keep_out": [{**FLOOR, "normal": [0, 0, 0]}]}, "/keep_out/0/normal"),
        ({"keep_out": [{**FLOOR, "offset": math.inf}]}, "/keep_out/0/offset"),
        ({"keep_out": [FLOOR] * 33}, "/keep_out"),
    ],
)
def test_bad_values_are_named_by_pointer(change: dict[str, Any], pointer: str) -> None:
    with pytest.raises(RequestError) as caught:
        TrajectoryRequest.parse({"robot": "panda", "count": 5, **change})
    assert [place for place, _ in caught.value.problems] == [pointer]


def _parsed_or_problems(body: dict[str, Any]) -> TrajectoryRequest | list[tuple[str, str]]:
    try:
        return TrajectoryRequest.parse(body)
    except RequestError as error:
        return error.problems


@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), JSON_VALUES, max_size=6))
@settings(max_examples=300, deadline=None)
def test_any_json_parses_or_is_a_request_error(body: dict[str, Any]) -> None:
    outcome = _parsed_or_problems({"robot": "panda", "count": 5, **body})
    if isinstance(outcome, TrajectoryRequest):
        assert json.dumps(outcome.resolved(), allow_nan=False)
    else:
        assert outcome


@given(JSON_VALUES)
@settings(max_examples=100, deadline=None)
def test_any_workspace_parses_or_is_a_request_error(workspace: Any) -> None:
    for value in (workspace, {"kind": "box", "min": workspace, "max": [1, 1, 1]}):
        outcome = _parsed_or_problems({"robot": "panda", "count": 5, "workspace": value})
        assert isinstance(outcome, TrajectoryRequest) or outcome[0][0].startswith("/workspace")


@pytest.mark.parametrize("body", [None, [], 3, "x", [{"robot": "panda"}]])
def test_a_body_that_is_no_object_is_a_request_error(body: Any) -> None:
    with pytest.raises(RequestError):
        TrajectoryRequest.parse(body)
