"""`python -m trainer motions`: of which demonstrations copies are to be made."""

from dataclasses import replace
from pathlib import Path

import pytest

from shared.motions_file import read_motions
from tests.stacking import demonstrations
from trainer.commands import motions


def test_held_out_demonstrations_are_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = demonstrations(6)
    held_out = replace(given.episodes[4], validation=True)
    given = replace(given, episodes=(*given.episodes[:4], held_out, given.episodes[5]))
    monkeypatch.setattr("trainer.data.demonstrations.read_demonstrations", lambda *arguments, **settings: given)
    motions.run(tmp_path / "demos.hdf5", tmp_path / "out.parquet")
    names = [motion.name for motion in read_motions(tmp_path / "out.parquet").motions]
    assert names == ["data/demo_0", "data/demo_1", "data/demo_2", "data/demo_3", "data/demo_5"]
