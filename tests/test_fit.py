"""The claim of benchmarks.fit, small: datasets fitted to demonstrations are far nearer to others of their kind."""

from pathlib import Path

import pytest

from benchmarks.fit import measure
from trainer.data.demonstrations import read_demonstrations
from trainer.data.summarize import summarize
from trainer.simulation.collect import collect


def test_fitted_is_at_most_a_third_as_far_from_held_out_demonstrations_as_joint_space(tmp_path: Path) -> None:
    path = collect("stack", tmp_path / "stack.hdf5", first_seed=0, successes=16)
    summary = summarize(read_demonstrations(path), held_out=0.5)
    assert (summary.demonstrations, summary.held_out) == (8, 8)
    figures = measure(summary, rows=150)
    for suffix in ("", "_wide_scale"):
        # Even at the ends of their intervals.
        assert figures[f"fitted_distance{suffix}_high"] < figures[f"joint_space_distance{suffix}_low"] / 2
        assert figures[f"fitted_distance{suffix}"] <= figures[f"joint_space_distance{suffix}"] / 3
        assert figures[f"fitted_distance{suffix}"] < figures[f"box_distance{suffix}"]
    assert figures["joint_space_distance"] == pytest.approx(2.7, abs=0.4)
    assert figures["fitted_motion_distance"] < figures["box_motion_distance"] < figures["joint_space_motion_distance"]
