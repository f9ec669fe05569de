import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import SummaryError
from shared.summary import DemonstrationSummary
from shared.summary_file import MAX_BYTES, read_summary, write_summary
from tests.shared.summary_example import example_summary


def test_a_summary_comes_back_equal_from_its_file(tmp_path: Path) -> None:
    summary = DemonstrationSummary.from_json(example_summary())
    write_summary(summary, tmp_path / "s.json")
    again = read_summary(tmp_path / "s.json")
    assert again.to_json() == summary.to_json() == example_summary()
    assert again.content_sha256 == summary.content_sha256
    assert (again.horizon, again.fitted_windows.values.shape) == (16, (24, 16, 10))
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]


def test_the_hash_is_of_the_content_not_of_the_layout() -> None:
    value = example_summary()
    turned = json.loads(json.dumps(dict(reversed(value.items())), indent=3).replace("20.0", "20"))
    hashes = [DemonstrationSummary.from_json(one).content_sha256 for one in (value, turned)]
    assert hashes[0] == hashes[1]
    one, two = (DemonstrationSummary.from_json(each) for each in (value, turned))
    assert one == two
    assert one != value
    assert {one: "found"}[two] == "found"
    other = example_summary()
    other["chains"][2]["dwell"][5] += 1e-6
    assert DemonstrationSummary.from_json(other).content_sha256 != hashes[0]


def test_it_is_of_a_catalogue_arm_or_of_ones_own() -> None:
    summary = DemonstrationSummary.from_json(example_summary(robot="my_arm"))
    assert summary.is_of("my_arm")
    assert summary.is_of("my_arm-0123456789ab")
    assert not summary.is_of("my")
    assert not summary.is_of("other-0123456789ab")


def _put(*path: Any, to: Any) -> Callable[[dict[str, Any]], Any]:
    def change(value: Any) -> None:
        for key in path[:-1]:
            value = value[key]
        value[path[-1]] = to

    return change


HOSTILE = {
    "/format": _put("format", to="pickle"),
    "/format ": _put("version", to=2),
    "/owner": _put("owner", to="me"),
    "/task": _put("task", to="a\nb"),
    "/task ": _put("task", to="x" * 101),
    "/robot": _put("robot", to=7),
    "/rate_hz": _put("rate_hz", to=float("nan")),
    "/rate_hz ": _put("rate_hz", to=True),
    "/rate_hz  ": _put("rate_hz", to=1e9),
    "/demonstrations": _put("demonstrations", to=2.5),
    "/held_out": _put("held_out", to=-1),
    "/tolerance": _put("tolerance", to=[0.01, 5]),
    "/tolerance/position": _put("tolerance", "position", to="0.01"),
    "/position_range": _put("position_range", "min", to=[1, 1, 1]),
    "/position_range/max": _put("position_range", "max", to=[1, 1]),
    "/chains": _put("chains", to=[]),
    "/chains ": _put("chains", to={}),
    "/chains/1": _put("chains", 1, to=None),
    "/chains/1/dwell": _put("chains", 1, "dwell", to=[0, 0, 0, 0, 0]),
    "/chains/1/dwell ": _put("chains", 1, "dwell", 3, to=-0.1),
    "/chains/1/duration": _put("chains", 1, "duration", 2, to=1e6),
    "/chains/1/gripper": _put("chains", 1, "gripper", 2, to=0.5),
    "/chains/1/gripper ": _put("chains", 1, "gripper", 2, to=None),
    "/chains/1/position": _put("chains", 1, "position", 2, 0, to=float("inf")),
    "/chains/1/position ": _put("chains", 1, "position", 2, to=[0.1, [0.2], 0.3]),
    "/chains/1/position  ": _put("chains", 1, "position", 2, 0, to=True),
    "/chains/1/position   ": _put("chains", 1, "position", 2, 0, to=10**30),
    "/chains/1/quat_xyzw": _put("chains", 1, "quat_xyzw", 2, to=[0.5, 0, 0, 0]),
    "/windows/horizon": _put("windows", "horizon", to=10**9),
    "/windows/fitted/values": _put("windows", "horizon", to=15),
    "/windows/fitted/values ": _put("windows", "fitted", "values", 3, to="x" * 160),
    "/windows/fitted/values  ": _put("windows", "fitted", "values", to=[]),
    "/windows/fitted/episode": _put("windows", "fitted", "episode", 0, to=-1),
    "/windows/held_out": _put("windows", "held_out", to={"episode": [0] * 1025, "values": [[0] * 160] * 1025}),
}


@pytest.mark.parametrize("pointer", HOSTILE)
def test_what_is_wrong_is_refused_and_named(pointer: str, tmp_path: Path) -> None:
    value = example_summary()
    HOSTILE[pointer](value)
    with pytest.raises(SummaryError) as caught:
        DemonstrationSummary.from_json(value)
    assert caught.value.pointer == pointer.strip()
    assert len(str(caught.value)) < 300
    path = tmp_path / "s.json"
    path.write_text(json.dumps(value))
    with pytest.raises(SummaryError, match=r"s\.json"):
        read_summary(path)


@pytest.mark.parametrize("missing", ["task", "chains", "windows", "position_range"])
def test_missing_parts_are_named(missing: str) -> None:
    value = example_summary()
    del value[missing]
    with pytest.raises(SummaryError, match=f"summary/{missing}: this key is required"):
        DemonstrationSummary.from_json(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    ),
    st.sampled_from(["task", "rate_hz", "tolerance", "position_range", "chains", "windows"]),
)
def test_anything_at_all_is_read_or_refused(value: Any, key: str) -> None:
    for body in (value, {**example_summary(windows=1), key: value}):
        with contextlib.suppress(SummaryError):
            assert DemonstrationSummary.from_json(body).chains


def test_files_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    for content, message in (
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "must be a JSON object"),
        (b" " * (MAX_BYTES + 1), "more than 2 MiB"),
    ):
        path.write_bytes(content)
        with pytest.raises(SummaryError, match=message):
            read_summary(path)
    with pytest.raises(SummaryError, match="can't be read"):
        read_summary(tmp_path / "nothing.json")
    with pytest.raises(SummaryError, match="can't be written"):
        write_summary(DemonstrationSummary.from_json(example_summary()), tmp_path / "no" / "s.json")


def test_a_summary_too_large_to_be_read_is_not_written(tmp_path: Path) -> None:
    value = example_summary()
    values = np.random.default_rng(0).uniform(-1, 1, (1000, 160)).tolist()
    value["windows"]["fitted"] = {"episode": [0] * 1000, "values": values}
    with pytest.raises(SummaryError, match="use fewer windows"):
        write_summary(DemonstrationSummary.from_json(value), tmp_path / "s.json")
    assert not list(tmp_path.iterdir())
