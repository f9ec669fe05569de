"""benchmarks.copies_audit and copies_kills in small: what is walked is what is stored, and another shard is counted."""

import argparse
from pathlib import Path

import numpy as np
import pytest

from benchmarks.copies_audit import FINE_S, Copies, planned, profiles_of_rows, request
from benchmarks.copies_kills import asked, differing
from benchmarks.keep_outs import positions
from services.engine import InlineEngine
from tests.stacking import motions

MOTIONS = motions(4)
ROUNDED = 2.4e-7
"""What float32 takes from a joint of up to 4 rad, at the start and at a sample, together."""


def everything(folder: Path) -> list[Copies]:
    options = argparse.Namespace(rows="300", held_rows=2, dense=2, coarse=False, robots="panda", motions=None)
    return planned(options, folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two shards of copies one, and the only one with sizes."""
    folder = tmp_path_factory.mktemp("copies")
    for copies in everything(folder):
        copies.go_on()
    return folder


def test_each_shard_is_made_audited_and_walked_once(folder: Path) -> None:
    plain, held = everything(folder)
    assert (plain.name, held.name) == ("panda", "panda, held")
    assert (plain.is_done, held.is_done) == (False, True)
    assert held.dataset.manifest().state == "sealed"
    for copies, rows, wanted in ((plain, 256, 300), (held, 2, 2)):
        found = copies.report()
        assert (found["asked"], found["rows"], found["walked"], found["dense"]) == (wanted, rows, 2, 2)
        assert found["violations"] == found["colliding"] == 0
        assert found["attempts"] == rows + sum(found["rejected"].values())
        assert found["checks"]["self-collision"][:2] == [rows, 0]
    assert held.report()["checks"]["what is held"][:2] == [2, 0]
    assert "what is held" not in plain.report()["checks"]
    before = plain.report()
    plain.go_on()
    after = plain.report()
    assert plain.is_done
    assert (after["rows"], after["dense"], before["rows"]) == (300, 4, 256)
    worst = [found["checks"]["FK position"][2] for found in (before, after)]
    assert 0 < worst[0] <= worst[1] < 1e-6


def test_motions_go_through_the_samples(folder: Path) -> None:
    dataset = everything(folder)[1].dataset
    table = dataset.read_shard(next(iter(dataset.commits())))
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


def test_a_shard_that_another_engine_makes_otherwise_is_counted(tmp_path: Path) -> None:
    one = asked("panda", 40, 0, MOTIONS, tmp_path)
    assert len(one.expected) == 40
    again = [*one.expected[:3], "0" * 64, *one.expected[4:]]
    assert differing(InlineEngine(), [one._replace(expected=again)], MOTIONS, tmp_path) == 1
