"""The table of policies in closed loop through server and executor (benchmarks.closed_loop)."""

import json
from pathlib import Path
from typing import Any

KEPT = Path(__file__).resolve().parent / "results" / "closed_loop"
_WAYS = {
    "direct": "direct loop, no executor",
    "asynchronous": "executor, asynchronous chunks",
    "waiting": "executor, the arm waits for each answer",
}


def closed_loop_table() -> list[str]:
    """Markdown rows of every task that is kept."""
    lines = []
    for path in sorted(KEPT.glob("*.json")):
        kept = json.loads(path.read_text())
        lines += ["", f"`{kept['command']}`, {kept['task']}, on {kept['machine']}, {kept['date']}:", ""]
        lines += [
            "| way | latency | success (95 %) | lost, won | steps to success | jerk of commands: mean, p99 "
            "| at 20 Hz | of the tool | limits left |",
            "|---" * 9 + "|",
        ]
        lines += [_row(one) for one in kept["figures"]]
    return lines


def _row(one: dict[str, Any]) -> str:
    low, high = one["interval"]
    jerks = (
        f"{_short(one[f'{name}_jerk_mean'])}, {_short(one[f'{name}_jerk_p99'])}"
        for name in ("command", "command_policy_rate", "tool")
    )
    steps = "-" if one["mean_success_steps"] is None else f"{one['mean_success_steps']:.0f}"
    limits = f"{one['violations']} of {one['commands']:,}" if one["commands"] else "-"
    return (
        f"| {_WAYS[one['kind']]} | {1e3 * one['latency_s']:.0f} ms "
        f"| {one['successes']} of {one['episodes']} ({low:.0%} to {high:.0%}) | {one['lost']}, {one['won']} | {steps} "
        f"| {' | '.join(jerks)} | {limits} |"
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
