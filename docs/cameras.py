"""The table of policies that see cameras and no object poses (benchmarks.cameras)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainer.intervals import Outcomes, difference_interval, rate_interval

KEPT = Path(__file__).resolve().parent / "results" / "cameras"
_NAMES = {
    "normal": "`normal`",
    "generated": "`decoupled`, Stage 1 on trajectories",
    "copied": "`decoupled`, Stage 1 on copies",
}
Row = dict[str, Any]


def cameras_table() -> list[str]:
    """Markdown rows of every task that is kept."""
    lines = []
    for path in sorted(KEPT.glob("*.json")):
        kept = json.loads(path.read_text())
        lines += ["", f"`{kept['command']}` on {kept['machine']}, {kept['date']}:", ""]
        lines += [
            "| policy | seeds | successes | rate (95 %) | against `normal` (95 %) | held-out error "
            "| Stage 1: steps, held-out error of its own data | seconds of Stage 1, of the policy |",
            "|---" * 8 + "|",
        ]
        by_policy = {name: [row for row in kept["results"] if row["policy"] == name] for name in _NAMES}
        lines += [_line(name, rows, by_policy["normal"]) for name, rows in by_policy.items() if rows]
    return lines


def _line(name: str, rows: Sequence[Row], normal: Sequence[Row]) -> str:
    outcomes = _outcomes(rows)
    low, high = rate_interval(outcomes)
    against, stage1, before = "-", "-", "-"
    if name != "normal":
        difference = 100 * float(outcomes.mean() - _outcomes(normal).mean())
        least, most = difference_interval(outcomes, _outcomes(normal))
        against = f"{difference:+.1f} points ({100 * least:+.1f} to {100 * most:+.1f})"
        trainings = [row["stage1_training"] for row in rows]
        stage1 = f"{trainings[0]['checkpoint_step']:,}, {_errors(trainings)}"
        before = f"{_mean(trainings, 'train_seconds'):.0f}"
    cells = [
        _NAMES[name],
        ", ".join(str(row["seed"]) for row in rows),
        f"{', '.join(str(row['successes']) for row in rows)} of {rows[0]['episodes']}",
        f"{outcomes.mean():.1%} ({low:.1%} to {high:.1%})",
        against,
        _errors(rows),
        stage1,
        f"{before}, {_mean(rows, 'train_seconds'):.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _outcomes(rows: Sequence[Row]) -> Outcomes:
    return np.array([row["outcomes"] for row in rows])


def _errors(rows: Sequence[Row]) -> str:
    errors = [row["action_error"] for row in rows]
    position, rotation = _mean(errors, "position_mm"), _mean(errors, "rotation_deg")
    return f"{position:.1f} mm, {rotation:.2f} deg, gripper {_mean(errors, 'gripper_accuracy'):.1%}"


def _mean(rows: Sequence[Row], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))
