"""What copies are worth over four tasks, from the kept runs of `few` (Stack) and `tasks`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESULTS = Path(__file__).resolve().parent / "results"
TASKS = {"stack": "few", "stack_three": "tasks", "can": "tasks", "square": "tasks"}
"""Which run each task is taken from."""
DEMONSTRATIONS, COPIES = 25, 3000
_RESAMPLES = 10_000

Rates = NDArray[np.float64]
"""Of each initial state, the mean over seeds."""


def four_tasks_table() -> list[str]:
    """Both modes without copies and with them, with the motion basis, and the mean difference over the tasks."""
    lines = ["| mode | task | seeds | without copies | with 3,000 copies | difference |", "|---|---|---|---|---|---|"]
    for mode in ("decoupled", "normal"):
        differences = []
        for task, run in TASKS.items():
            seeds, without = _rates(run, task, mode, 0)
            _, copied = _rates(run, task, mode, COPIES)
            differences.append(copied - without)
            cells = f"{without.mean():.1%} | {copied.mean():.1%} | {100 * (copied - without).mean():+.1f} points"
            lines.append(f"| {mode} | {task} | {seeds} | {cells} |")
        low, high = _interval(differences)
        mean = np.mean([difference.mean() for difference in differences])
        lines.append(f"| {mode} | mean | | | | {100 * mean:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}) |")
    return lines


def _rates(run: str, task: str, mode: str, copies: int) -> tuple[int, Rates]:
    """How many seeds there are, and the rate of each initial state."""
    results: list[dict[str, Any]] = json.loads((RESULTS / run / "report.json").read_text())["results"]
    asked = (task, mode, DEMONSTRATIONS, copies, True)
    outcomes = [
        result["outcomes"]
        for result in results
        if asked
        == (result["task"], result["mode"], result["demonstrations"], result["multiplied"], result["basis"] > 0)
    ]
    return len(outcomes), np.asarray(outcomes, np.float64).mean(0)


def _interval(differences: list[Rates]) -> tuple[float, float]:
    """95 % of the mean over tasks, whose initial states are resampled each by themselves."""
    rng = np.random.default_rng(0)
    means = [one[rng.integers(len(one), size=(_RESAMPLES, len(one)))].mean(1) for one in differences]
    low, high = np.percentile(np.mean(means, axis=0), [2.5, 97.5])
    return float(low), float(high)
