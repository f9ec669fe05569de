"""The commands of docs/exports.md, run as they stand."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from services.__main__ import main
from shared.dataset import Dataset
from tests.services.example import ROOT


def test_the_commands_of_the_page_work(reference: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(reference.root, tmp_path / "data" / "example")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "exports.md").read_text(), re.DOTALL)
    commands = [shlex.split(line) for line in "".join(blocks).splitlines()]
    assert len(commands) == 3
    for command in commands:
        assert command[:3] == [".venv/bin/python", "-m", "services"]
        assert main(command[3:]) == 0
    assert sorted(path.name for path in Path("exports").iterdir()) == ["example", "example-v2.1", "example.hdf5"]
