import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ConfigError
from trainer.report import RESULT_KEYS, groups, success_table, wilson, write_report


def _result(mode: str, seed: int, outcomes: list[int]) -> dict[str, Any]:
    values: dict[str, Any] = dict.fromkeys(RESULT_KEYS, 1)
    return values | {
        "task": "stack",
        "mode": mode,
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
    return run


SUMMARY: dict[str, Any] = {
    "recipe": {"name": "test"},
    "command": "make train-decoupled",
    "machine": "2 cores",
    "seconds": 3700.0,
    "experts": [{"task": "stack", "attempts": 100, "successes": 97, "demonstrations": 50}],
}


def test_wilson_agrees_with_published_values() -> None:
    # 74 of 80 and 5 of 80, worked by hand from the score equation.
    assert wilson(74, 80) == pytest.approx((0.8459, 0.9652), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10)[1] == pytest.approx(1.0)


def test_groups_pool_seeds_and_keep_the_order_of_modes() -> None:
    results = [_result("normal", 0, [1, 0]), _result("decoupled", 1, [1, 1]), _result("decoupled", 0, [1, 0])]
    grouped = groups(results)
    assert [(g.mode, g.successes, g.episodes) for g in grouped] == [("decoupled", 3, 4), ("normal", 1, 2)]
    assert success_table(grouped)[2].startswith("| stack | decoupled | 0, 1 | 1, 2 of 2 | 75.0% |")


def test_report_has_every_part_and_its_pictures(tmp_path: Path) -> None:
    runs = [
        _write(tmp_path, _result("decoupled", 0, [1, 1, 0, 1])),
        _write(tmp_path, _result("normal", 0, [1, 0, 0, 0])),
    ]
    target = write_report(tmp_path, SUMMARY, runs)
    text = target.read_text()
    assert "decoupled alone succeeded 2 times, normal alone 0 times of 4 (difference +50.0 points)" in text
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
