"""docs/client.md's lines, run as they stand against a real service."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.pages import blocks
from tests.services.example import running_service


def test_the_lines_of_the_page_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    slow_machine = {"HEADSTART_PREVIEW_SECONDS": "200"}
    with running_service(tmp_path / "data", "--engine", "process", "--workers", "1", env=slow_machine) as service:
        port = httpx.URL(service.url).port
        names: dict[str, Any] = {}
        for block in blocks("docs/client.md", "python"):
            exec(compile(block.replace("8000", str(port)), "client.md", "exec"), names)
    said = capsys.readouterr().out.splitlines()
    assert "succeeded" in said
    assert "500" in said
    assert said[-1].startswith("422 ")
    assert "unknown robot 'pandora'" in said[-1]
