import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ConfigError
from trainer.recipe.report import RESULT_KEYS, write_report


def _result(mode: str, seed: int, outcomes: list[int]) -> dict[str, Any]:
    values: dict[str, Any] = dict.fromkeys(RESULT_KEYS, 1)
    return values | {
        "task": "stack",
        "mode": mode,
        "demonstrations": 50,
        "multiplied": 0,
        "basis": 5,
        "seed": seed,
        "episodes": len(outcomes),
        "successes": sum(outcomes),
        "outcomes": outcomes,
        "train_seconds": 10.0 + seed,
        "checkpoint_step": 100,
        "action_error": {"position_mm": 3.0, "rotation_deg": 1.0, "gripper_accuracy": 0.99},
        "trained_parameters": 1234,
    }


def _write(folder: Path, result: dict[str, Any]) -> Path:
    run = folder / f"stack-{result['mode']}-{result['seed']}"
    run.mkdir(parents=True)
    (run / "result.json").write_text(json.dumps(result))
    metrics = [{"step": step, "loss": 1.0 / step, "validation_loss": 2.0 / step} for step in (1, 10, 100)]
    (run / "metrics.jsonl").write_text("\n".join(json.dumps(row) for row in metrics))
    return run / "result.json"


SUMMARY: dict[str, Any] = {
    "recipe": {"name": "test"},
    "command": "make train-decoupled",
    "machine": "2 cores",
    "seconds": 3700.0,
    "experts": [{"task": "stack", "attempts": 100, "successes": 97, "demonstrations": 50}],
}


def test_report_has_every_part_and_its_pictures(tmp_path: Path) -> None:
    runs = [
        _write(tmp_path, _result("decoupled", 0, [1, 1, 0, 1])),
        _write(tmp_path, _result("normal", 0, [1, 0, 0, 0])),
    ]
    target = write_report(tmp_path, SUMMARY, runs)
    text = target.read_text()
    assert "with the motion basis: decoupled against normal: +50.0 points (" in text
    assert "| stack | 50 | decoupled | 5 directions | 1.0 (1.0) |" in text
    assert "97 of 100 attempts" in text
    assert "1 h 01 min" in text
    for name in ("losses", "success", "seconds"):
        assert (tmp_path / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    report = json.loads((tmp_path / "report.json").read_text())
    assert [result["successes"] for result in report["results"]] == [3, 1]


def test_an_old_result_is_refused_by_name(tmp_path: Path) -> None:
    result = _result("normal", 0, [1])
    del result["outcomes"]
    with pytest.raises(ConfigError, match=r"result\.json: .*lacks outcomes"):
        write_report(tmp_path, SUMMARY, [_write(tmp_path, result)])
