"""benchmarks.copies_audit and copies_kills in small: what is walked is what is stored, and a wrong shard is counted."""

import argparse
from pathlib import Path

import numpy as np
import pytest

from benchmarks.copies_audit import FINE_S, Plan, measure, planned, profiles_of_rows, request
from benchmarks.copies_kills import CommandLine
from benchmarks.keep_outs import positions
from benchmarks.service_kills import undisturbed
from shared.dataset import Dataset
from shared.motions_file import write_motions
from tests.stacking import motions

MOTIONS = motions(4)
ROUNDED = 2.4e-7
"""What float32 takes from a joint of up to 4 rad, at the start and at a sample, together."""


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Plan]:
    folder = tmp_path_factory.mktemp("copies")
    options = argparse.Namespace(rows="5", stop_after=None, held_rows=2, dense_rows=2, robots="panda", motions=None)
    return planned(options, folder)


def test_every_row_is_made_audited_and_walked_and_no_part_twice(plans: dict[str, Plan]) -> None:
    report = measure(plans)
    assert list(report) == ["panda", "panda, held"]
    for name, rows, dense in (("panda", 5, 2), ("panda, held", 2, 0)):
        found = report[name]
        assert (found["rows"], found["audited_rows"], found["walked_rows"], found["dense_rows"]) == (
            rows,
            rows,
            rows,
            dense,
        )
        assert found["violations"] == found["colliding"] == 0
        assert found["attempts"] >= rows
    assert "what is held" in report["panda, held"]["checks"]
    assert "what is held" not in report["panda"]["checks"]
    made = plans["panda"].data.with_name(f"{plans['panda'].data.name}.5.made.json").stat().st_mtime_ns
    assert measure(plans) == report
    assert plans["panda"].data.with_name(f"{plans['panda'].data.name}.5.made.json").stat().st_mtime_ns == made


def test_motions_go_through_the_samples(plans: dict[str, Plan]) -> None:
    measure({"panda": plans["panda"]})
    table = Dataset(plans["panda"].data).read_shard(next(iter(Dataset(plans["panda"].data).commits())))
    for row, profile in enumerate(profiles_of_rows(table, 7)):
        q = positions(*profile, FINE_S)
        samples = np.array(table["joint_position"][row].as_py()).reshape(-1, 7)
        # Samples are 50 ms apart, moments 4 ms: every second sample is a moment, but for a last one after the end.
        every_second = samples[:-1:2]
        assert len(q) > 25 * (len(every_second) - 1)
        assert np.abs(q[::25][: len(every_second)] - every_second).max() < ROUNDED
        assert np.abs(q[-1] - samples[-1]).max() < ROUNDED


def test_the_table_is_where_the_objects_stand() -> None:
    body = request("ur5", 10, 3, MOTIONS, sized=True)
    assert body["keep_out"] == [{"kind": "half_space", "normal": [0, 0, 1], "offset": -0.125}]
    assert body["workspace"]["objects"] == {"block": {"size": [0.04] * 3}, "base": {"size": [0.05] * 3}}
    assert request("ur5", 10, 3, MOTIONS, sized=False)["workspace"]["objects"] == {}


def test_after_a_kill_a_shard_that_is_another_is_counted_and_the_others_are_the_same(tmp_path: Path) -> None:
    body = request("panda", 40, 0, MOTIONS, sized=True) | {"shard_rows": 5}
    body["workspace"] |= {"motions": MOTIONS.content_sha256}
    expected, path = undisturbed(body, tmp_path, MOTIONS), tmp_path / "motions.parquet"
    write_motions(MOTIONS, path)
    assert len(expected) == 8
    wrong = [*expected[:3], "0" * 64, *expected[4:]]
    assert CommandLine(tmp_path, body, path, wrong).differing("inline", kills=1, seed=0) == 1
