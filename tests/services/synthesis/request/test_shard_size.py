"""Shards of a request that is accepted are such as a worker's memory holds; a refusal names the number to change."""

from typing import Any

import numpy as np
import pytest

from services.catalogue import ARMS
from services.synthesis.pipeline import plan_shards, synthesize
from services.synthesis.request.shard_size import SHARD_BYTES, most_rows, row_bytes, row_times
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared import records
from shared.errors import RequestError
from tests.shared.summary_example import example_summary
from tests.stacking import motions

PROFILES = ["profile_time", "profile_jerk", "joint_acceleration"]


def parse(**changes: Any) -> TrajectoryRequest:
    return TrajectoryRequest.parse({"robot": "panda", "count": 100_000, **changes})


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        ({}, 4096),
        ({"rate_hz": 0.1}, 4096),
        ({"rate_hz": 100.0}, 512),
        ({"rate_hz": 1000.0}, 32),
        ({"speed_scale": [1.0, 1.0], "rate_hz": 100.0}, 2048),
        ({"count": 2000}, 256),
        ({"count": 20_000}, 1024),
        ({"count": 3}, 256),
        ({"robot": "ur5"}, 2048),
    ],
)
def test_shards_by_default_follow_from_rate_and_duration(changes: dict[str, Any], rows: int) -> None:
    assert parse(**changes).shard_rows == rows


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rate_hz": 1000.0, "shard_rows": 4096}, "/shard_rows: 4096 rows at 1000 Hz may be more .*: use at most 4"),
        ({"shard_rows": 65536}, "/shard_rows: 65536 rows at 20 Hz may be more .*: use at most 4"),
        (
            {"rate_hz": 1000.0, "tool_speed": [0.005, 0.01]},
            "one row may last 2849 s.*rate_hz of at most 365.6, or raise",
        ),
        (
            {"count": 10**9, "rate_hz": 1000.0},
            "more than 1000000 files; raise shard_rows, or split the request by seed",
        ),
    ],
)
def test_what_would_not_fit_is_refused_with_the_number_to_change(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        parse(**changes)


def test_the_number_named_is_accepted() -> None:
    assert parse(rate_hz=365.6, tool_speed=[0.005, 0.01]).shard_rows == 1
    with pytest.raises(RequestError) as refused:
        parse(rate_hz=1000.0, shard_rows=4096)
    most = int(refused.value.problems[0][1].split("at most ")[1].split(",")[0])
    assert parse(rate_hz=1000.0, shard_rows=most).shard_rows == most
    with pytest.raises(RequestError):
        parse(rate_hz=1000.0, shard_rows=most + 1)


def test_more_rows_than_there_are_take_no_memory() -> None:
    assert parse(count=40, rate_hz=1000.0, shard_rows=4096).shard_rows == 4096


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"robot": "so101", "rate_hz": 100.0},
        {"families": {"hold": 1.0}},
        {"families": {"cartesian_line": 1.0}, "columns": PROFILES},
        {"tool_speed": [0.05, 0.2]},
        {"workspace": {"kind": "box", "min": [0.3, -0.3, 0.1], "max": [0.6, 0.3, 0.5]}, "speed_scale": [0.3, 0.3]},
    ],
    ids=["default", "so101", "hold", "lines", "tool_speed", "box"],
)
def test_rows_are_no_longer_than_expected(changes: dict[str, Any]) -> None:
    """The mean of rows as they were made, in bytes and up to chance, and the longest of them."""
    request = parse(**changes, count=200, shard_rows=200)
    table = synthesize(plan_shards(request)[0]).table
    names = [column.name for column in records.columns(request.optional_columns) if column.is_list]
    made = np.zeros(len(table))
    for name in names:
        values, offsets = records.list_column(table, name)
        made += np.diff(offsets) * values.itemsize
    times = row_times(request.arm, request.families, request.workspace, request.speed_scale, request.tool_speed)
    assert table["duration"].to_numpy().max() <= times.longest
    dof = len(request.arm.joints)
    lines = "cartesian_line" in request.families
    expected = row_bytes(dof, request.optional_columns, request.rate_hz, lines, times.drawn)
    chance = 4 * np.hypot(made.std() / np.sqrt(len(made)), expected.std() / np.sqrt(len(expected)))
    assert made.mean() <= expected.mean() + chance
    (most,) = row_bytes(dof, request.optional_columns, request.rate_hz, lines, np.array([times.longest]))
    assert made.max() <= most


def test_the_bound_holds_for_sums_of_what_was_drawn() -> None:
    drawn = np.random.default_rng(0).exponential(20_000.0, 2000)
    most = most_rows(drawn, 1e6)
    sums = np.random.default_rng(1).choice(drawn, (2000, most)).sum(1)
    # The bound allows for chances of 2e-9: about six standard deviations.
    assert sums.max() < SHARD_BYTES
    assert 5 < (SHARD_BYTES - most * drawn.mean()) / sums.std() < 8


def test_rows_of_a_fixed_length_fill_a_shard() -> None:
    assert most_rows(np.full(10, 1e5), 1e5) == SHARD_BYTES // 10**5
    assert most_rows(np.full(10, 1.0), SHARD_BYTES + 1.0) == 0


@pytest.mark.parametrize("robot", sorted(ARMS))
def test_every_arm_has_shards_by_default(robot: str) -> None:
    for rate_hz in (0.1, 20.0, 1000.0):
        request = parse(robot=robot, rate_hz=rate_hz)
        assert 4 <= request.shard_rows <= 4096


def test_parts_of_demonstrations_may_have_more_motions_than_their_family() -> None:
    fitted = {"kind": "fitted", "summary": example_summary()}
    request = parse(workspace=fitted, families={"via_points": 1.0}, count=100, shard_rows=100)
    table = synthesize(plan_shards(request)[0]).table
    times = row_times(request.arm, request.families, request.workspace, request.speed_scale, request.tool_speed)
    assert table["duration"].to_numpy().max() <= times.longest
    assert table["duration"].to_numpy().mean() <= times.drawn.mean()


def test_copies_take_about_as_long_as_their_demonstrations() -> None:
    demonstrated = motions(4)
    workspace = {"kind": "objects", "motions": demonstrated.content_sha256}
    body = {"robot": "panda", "count": 60, "shard_rows": 60, "workspace": workspace}
    request = TrajectoryRequest.parse(body, motions={demonstrated.content_sha256: demonstrated}.get)
    table = synthesize(plan_shards(request)[0]).table
    times = row_times(request.arm, request.families, request.workspace, request.speed_scale, request.tool_speed)
    assert table["duration"].to_numpy().max() <= times.longest
    assert table["duration"].to_numpy().mean() <= times.drawn.mean()
