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
            "| way | latency | success (95 %) | against the direct loop (95 %); lost, won | against waiting (95 %) "
            "| steps to success | jerk of commands: mean, p99 | at 20 Hz | of the tool | where it touches nothing "
            "| times less than the direct loop's | limits left |",
            "|---" * 12 + "|",
        ]
        lines += [_row(one) for one in kept["figures"]]
    return lines


def _row(one: dict[str, Any]) -> str:
    low, high = one["interval"]
    jerks = (
        f"{_short(one[f'{name}_jerk_mean'])}, {_short(one[f'{name}_jerk_p99'])}"
        for name in ("command", "command_policy_rate", "tool", "free_tool")
    )
    steps = "-" if one["mean_success_steps"] is None else f"{one['mean_success_steps']:.0f}"
    limits = f"{one['violations']} of {one['commands']:,}" if one["commands"] else "-"
    beside, less = one["against_direct"], one["against_direct"]["jerk_times_less"]
    against = f"{_points(beside)}; {beside['lost']}, {beside['won']}"
    times = "; ".join(
        f"{less[f'{name}_jerk_mean']:.1f}, {less[f'{name}_jerk_p99']:.1f}" for name in ("tool", "free_tool")
    )
    return (
        f"| {_WAYS[one['kind']]} | {1e3 * one['latency_s']:.0f} ms "
        f"| {one['successes']} of {one['episodes']} ({low:.0%} to {high:.0%}) "
        f"| {'-' if one['kind'] == 'direct' else against} "
        f"| {_points(one['against_waiting']) if one['against_waiting'] else '-'} | {steps} "
        f"| {' | '.join(jerks)} | {'-' if one['kind'] == 'direct' else times} | {limits} |"
    )


def _points(paired: dict[str, Any]) -> str:
    """The difference of two success rates in percentage points, with its interval."""
    low, high = paired["interval"]
    return f"{100 * paired['difference']:+.0f} ({100 * low:+.0f} to {100 * high:+.0f})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
