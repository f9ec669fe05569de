"""The benchmarks that take --device run there; their figures are not looked at, for that they are far too short."""

import json
import sys
from types import ModuleType

import pytest

from benchmarks import heads, loader, stage1
from trainer.config import HeadConfig


def figures(
    benchmark: ModuleType, arguments: str, device: str, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, float]:
    patch.setattr(sys, "argv", ["", *arguments.split(), "--device", device])
    benchmark.main()
    said = capsys.readouterr().out
    assert f" on {device}" in said.splitlines()[0]
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def test_heads(device: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = {name: HeadConfig(head=config.head, size="tiny") for name, config in heads.HEADS.items()}
    monkeypatch.setattr(heads, "HEADS", tiny)
    monkeypatch.setattr(heads, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(heads, "CROP", 36)
    found = figures(heads, "--rounds 1 --threads 1 --compile off", device, monkeypatch, capsys)
    assert found["dp_c_normal_images_s_per_step"] > 0
    assert found["dp_mlp_decoupled_over_normal_features"] > 0


def test_stage1(device: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(stage1, "TURN_SECONDS", 0.01)
    monkeypatch.setattr(loader, "SHARD_ROWS", 64)
    found = figures(stage1, "--size small --rounds 1 --no-compile", device, monkeypatch, capsys)
    assert found["ours_windows_per_s"] > 0


def test_loader(device: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, short in {"SHARD_ROWS": 64, "_DRAWS": 2, "COMPARED": (200,), "TURNS": 1}.items():
        monkeypatch.setattr(loader, name, short)
    found = figures(loader, "--seconds 0.1", device, monkeypatch, capsys)
    assert found["200_of_plain"] > 0
