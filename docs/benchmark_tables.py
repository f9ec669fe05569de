"""Tables of the benchmarks that are kept in docs/results/benchmarks/ (docs.keep)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.catalogue import ARMS
from services.synthesis.ik_steps import GOALS

KEPT = Path(__file__).resolve().parent / "results" / "benchmarks"

Figures = dict[str, Any]


def _every_figure(figures: Figures) -> list[str]:
    lines = ["| figure | value |", "|---|---|"]
    return lines + [f"| `{key}` | {_number(value)} |" for key, value in figures.items()]


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if isinstance(value, float) else str(value)


def _ik(figures: Figures) -> list[str]:
    lines = [f"| arm | {' | '.join(f'`{goal}`' for goal in GOALS)} | starts | time for a pose |", "|---" * 6 + "|"]
    for arm in (arm for arm in ARMS if f"{arm}_pose_converged" in figures):
        shares = " | ".join(f"{figures[f'{arm}_{goal}_converged']:.2%}" for goal in GOALS)
        starts, time = figures[f"{arm}_pose_starts"], figures[f"{arm}_pose_us"]
        lines.append(f"| `{arm}`, {len(ARMS[arm].joints)} joints | {shares} | {starts:.2f} | {time:.0f} us |")
    return lines


def _robots(figures: Figures) -> list[str]:
    lines = ["| robot | rows | seconds | candidates for a row | violations |", "|---" * 5 + "|"]
    for name in (key.removesuffix("_s") for key in figures if key.endswith("_s")):
        cells = [figures["rows"], *(figures[f"{name}_{key}"] for key in ("s", "attempts_per_row", "violations"))]
        lines.append(f"| `{name}` | {' | '.join(map(_number, cells))} |")
    return lines


def _audit(figures: Figures) -> list[str]:
    lines = [f"| check | {' | '.join(figures)} |", "|---" * (1 + len(figures)) + "|"]
    for key in ("rows", "samples", "violations"):
        lines.append(f"| {key} | {' | '.join(_number(found[key]) for found in figures.values())} |")
    for name in dict.fromkeys(name for found in figures.values() for name in found["checks"]):
        cells = [_check(*found["checks"].get(name, (0, 0, None))) for found in figures.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _check(checked: int, violations: int, worst: float | None) -> str:
    if not checked:
        return "-"
    return f"{violations:,} of {checked:,}" + ("" if worst is None else f", worst {worst:.2g}")


_TABLES: dict[str, Callable[[Figures], list[str]]] = {"ik": _ik, "robots": _robots, "audit": _audit}


def benchmark_tables() -> list[str]:
    """A section for each benchmark that is kept."""
    lines = []
    for path in sorted(KEPT.glob("*.json")):
        kept: dict[str, Any] = json.loads(path.read_text())
        table = _TABLES.get(path.stem, _every_figure)(kept["figures"])
        lines += ["", f"### {path.stem}", "", f"`{kept['command']}` on {kept['machine']}, {kept['date']}:", "", *table]
    return lines
