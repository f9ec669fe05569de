"""The commands of docs/exports.md, run as they stand."""

import shlex
import shutil
from pathlib import Path

import pytest

from services.__main__ import main
from shared.dataset import Dataset
from tests.pages import commands


def test_the_commands_of_the_page_work(reference: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(reference.root, tmp_path / "data" / "example")
    monkeypatch.chdir(tmp_path)
    # `make test-lerobot` needs the real lerobot.
    exports = [shlex.split(line) for line in commands("docs/exports.md") if not line.startswith("make ")]
    assert len(exports) == 3
    for command in exports:
        assert command[:3] == [".venv/bin/python", "-m", "services"]
        assert main(command[3:]) == 0
    assert sorted(path.name for path in Path("exports").iterdir()) == ["example", "example-v2.1", "example.hdf5"]
