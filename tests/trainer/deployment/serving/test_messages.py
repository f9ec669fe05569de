from dataclasses import replace

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import RequestError
from trainer.config import HeadConfig
from trainer.deployment.serving.messages import Observations, array, most_bytes, read_map, unpack
from trainer.model.observation import Camera
from trainer.training.checkpoint_info import CheckpointInfo

INFO = CheckpointInfo(
    stage=2, head=HeadConfig(), mode="normal", backbone=None, condition_dim=5,
    action_range={"position": {"min": [-1, -1, -1], "max": [1, 1, 1]}},
    observation_scaling=None, observation_widths={"a": 2, "b": 3},
    cameras={"front": Camera((6, 4), (5, 3))}, robot="panda", rate_hz=20.0,
    action_label="command", task="", step=1, seconds=0.0, device="cpu", stage1=None,
)  # fmt: skip
RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(3, 2, 2)).astype(np.float32), RNG.normal(size=(3, 2, 3))
FRONT = RNG.integers(0, 256, (3, 2, 6, 4, 3), np.uint8)
GOOD = {"observations": {"a": A.tolist(), "b": array(B)}, "pictures": {"front": array(FRONT)}}


def read_message(content: bytes, info: CheckpointInfo, most_robots: int) -> Observations:
    return read_map(unpack(content), info, most_robots)


def wrong(message: object) -> list[tuple[str, str]]:
    content = message if isinstance(message, bytes) else msgpack.packb(message)
    with pytest.raises(RequestError) as caught:
        read_message(content, INFO, 4)
    return caught.value.problems or [("", str(caught.value))]


def test_lists_and_encoded_arrays_of_either_precision_are_joined_in_the_policys_order() -> None:
    read = read_message(msgpack.packb(GOOD), INFO, 4)
    assert np.abs(read.low_dim - np.concatenate([A, B], axis=-1)).max() < 1e-6
    assert read.low_dim.dtype == np.float32
    assert np.array_equal(read.pictures["front"], FRONT)
    assert (read.prefix, read.sessions, read.steps) == (None, None, [])


def test_more_actions_may_be_asked_for_than_are_carried_out() -> None:
    assert read_message(msgpack.packb(GOOD), INFO, 4).n_action_steps == 8
    assert read_message(msgpack.packb({**GOOD, "n_action_steps": 15}), INFO, 4).n_action_steps == 15
    for value in (0, 16, 2.0, True, None):
        said = [("/n_action_steps", "must be 1 to 15, all that is predicted from now on")]
        assert wrong({**GOOD, "n_action_steps": value}) == said


def test_a_prefix_is_actions_of_each_robot_or_nan_alone() -> None:
    prefix = RNG.normal(size=(3, 2, 10)).astype(np.float32)
    prefix[1] = np.nan
    read = read_message(msgpack.packb({**GOOD, "prefix": array(prefix)}), INFO, 4)
    assert read.prefix is not None
    assert np.array_equal(read.prefix, prefix, equal_nan=True)
    assert read.prefix.dtype == np.float32
    shape = "must have [3, steps, 10]"
    assert wrong({**GOOD, "prefix": array(prefix[:2])}) == [("/prefix", f"has shape [2, 2, 10], {shape}")]
    assert wrong({**GOOD, "prefix": array(prefix[..., :9])}) == [("/prefix", f"has shape [3, 2, 9], {shape}")]
    assert wrong({**GOOD, "prefix": array(prefix[:, :0])}) == [("/prefix", "has 0 steps, must have 1 to 16")]
    long = np.zeros((3, 17, 10))
    assert wrong({**GOOD, "prefix": array(long)}) == [("/prefix", "has 17 steps, must have 1 to 16")]
    prefix[0, 1, 3] = np.nan
    partly = [("/prefix", "must be NaN in all of a robot's numbers or in none")]
    assert wrong({**GOOD, "prefix": array(prefix)}) == partly
    prefix[0, 1, 3] = np.inf
    assert wrong({**GOOD, "prefix": array(prefix)}) == [("/prefix", "holds numbers that are not finite")]


def test_what_fits_the_limit_is_no_more_than_a_full_message() -> None:
    robots = 4
    message = {
        "observations": {"a": np.full((robots, 2, 2), 1.5).tolist(), "b": np.full((robots, 2, 3), 0.1).tolist()},
        "pictures": {"front": array(np.zeros((robots, 2, 6, 4, 3), np.uint8))},
        "sessions": [f"{index:0100}" for index in range(robots)],
        "steps": [2**52] * robots,
        "prefix": np.full((robots, 16, 10), 0.1).tolist(),
    }
    content = msgpack.packb(message)
    assert len(content) <= most_bytes(INFO, robots) < len(content) + 70_000
    assert read_message(content, INFO, robots).steps == [2**52] * robots


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"extra": 1}, "/extra", "unknown"),
        ({"observations": [1]}, "/observations", "must be a map"),
        ({"observations": {"a": A.tolist()}}, "/observations/b", "is missing"),
        ({"observations": {"a": A.tolist(), "b": array(B), "c": 1}}, "/observations/c", "is not seen by this policy"),
        ({"observations": {"a": A[:, :, :1].tolist(), "b": array(B)}}, "/observations/a", "has shape [3, 2, 1], must"),
        ({"observations": {"a": A.tolist(), "b": array(B[:2])}}, "/observations/b", "[2, 2, 3], must have [3"),
        ({"observations": {"a": [[[1, 2], [3]]], "b": array(B)}}, "/observations/a", "nested lists of equal lengths"),
        ({"observations": {"a": [[["1", "2"]]], "b": array(B)}}, "/observations/a", "numbers alone"),
        ({"observations": {"a": [[[True, False]]], "b": array(B)}}, "/observations/a", "numbers alone"),
        ({"observations": {"a": None, "b": array(B)}}, "/observations/a", "numbers alone"),
        ({"observations": {"a": (A * np.nan).tolist(), "b": array(B)}}, "/observations/a", "not finite"),
        ({"observations": {"a": A.tolist(), "b": array(B * 1e300)}}, "/observations/b", "not finite"),
        ({"observations": {"a": {**array(A), "dtype": "O"}, "b": array(B)}}, "/observations/a/dtype", "float32 or"),
        ({"observations": {"a": {**array(A), "shape": [-3, 2, 2]}, "b": array(B)}}, "/observations/a/shape", "sizes"),
        ({"observations": {"a": {**array(A), "shape": [2**30] * 3}, "b": array(B)}}, "/observations/a/data", "bytes"),
        ({"observations": {"a": {**array(A), "data": "x"}, "b": array(B)}}, "/observations/a/data", "48 bytes"),
        ({"pictures": {"front": FRONT.tolist()}}, "/pictures/front", "pictures are maps"),
        ({"pictures": {"front": array(FRONT.astype(np.float32))}}, "/pictures/front/dtype", "must be uint8"),
        ({"pictures": {}}, "/pictures/front", "is missing"),
        ({"sessions": ["x"], "steps": [0]}, "/sessions", "3 names"),
        ({"sessions": ["x", "x", "y"], "steps": [0, 0, 0]}, "/sessions", "different"),
        ({"sessions": ["x", "y", "z" * 101], "steps": [0, 0, 0]}, "/sessions", "100 characters"),
        ({"sessions": ["x", "y", "z"], "steps": [0, 1.5, 2]}, "/steps", "control steps"),
        ({"sessions": ["x", "y", "z"], "steps": [0]}, "/steps", "3 numbers"),
        ({"steps": [0, 0, 0]}, "/sessions", "3 names"),
    ],
)  # fmt: skip
def test_each_thing_that_is_wrong_is_pointed_at(change: dict[str, object], pointer: str, words: str) -> None:
    problems = dict(wrong({**GOOD, **change}))
    assert words in problems[pointer]


def test_too_many_robots_and_none() -> None:
    for robots in (0, 5):
        message = {
            "observations": {"a": array(np.zeros((robots, 2, 2), np.float32)), "b": array(np.zeros((robots, 2, 3)))},
            "pictures": {"front": array(np.zeros((robots, 2, 6, 4, 3), np.uint8))},
        }
        assert "1 to 4 are answered" in wrong(message)[0][1]


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_refused_as_bytes(content: bytes) -> None:
    assert wrong(content)


LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats()


@given(
    st.recursive(
        LEAVES | st.text(max_size=8) | st.binary(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    )
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_any_value_in_any_place_is_refused(value: object) -> None:
    assert wrong(value)
    assert wrong({**GOOD, "observations": {"a": value, "b": array(B)}})
    assert wrong({**GOOD, "pictures": {"front": value}})
    assert wrong({**GOOD, "observations": {"a": {**array(A), "shape": value}, "b": array(B)}} | {"pictures": {}})
    assert wrong({**GOOD, "sessions": value, "steps": [0, 1, -2]})
    assert wrong(b"\x91" * 100_000)


def test_pointers_escape_keys_that_have_slashes() -> None:
    """RFC 6901: openpi's keys, such as observation/image, are one key each."""
    info = replace(
        INFO, observation_widths={"observation/state~1": 2}, cameras={"observation/image": INFO.cameras["front"]}
    )
    sent = {"observations": {"observation/state~1": A[:2].tolist()}, "pictures": {"observation/image": 1}}
    with pytest.raises(RequestError) as caught:
        read_message(msgpack.packb(sent), info, 4)
    assert caught.value.problems == [("/pictures/observation~1image", "pictures are maps of dtype, shape and data")]
    for change, pointer in (
        ({"observations": {"observation/state~1": "x"}}, "/observations/observation~1state~01"),
        ({"observations": {}}, "/observations/observation~1state~01"),
        ({"observations": {**sent["observations"], "a/b": 1}}, "/observations/a~1b"),
        ({"a/b": 1}, "/a~1b"),
    ):
        with pytest.raises(RequestError) as caught:
            read_message(msgpack.packb({**sent, **change}), info, 4)
        assert [problem[0] for problem in caught.value.problems] == [pointer]
