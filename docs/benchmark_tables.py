"""Tables of the benchmarks that are kept in docs/results/benchmarks/ (docs.keep)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.catalogue import ARMS
from services.synthesis.request.goals import GOALS

KEPT = Path(__file__).resolve().parent / "results" / "benchmarks"

Figures = dict[str, Any]

FITTED = {
    "joint_space": "`joint_space`, default families",
    "reachable": "`reachable`, default families",
    "box": "a box on the table, tool_speed 0.1 to 0.35 m/s",
    "fitted": "fitted, default families",
    "fitted_chains": "fitted, whole chains (`via_points`)",
    "demonstrations": "the 50 demonstrations themselves",
}
"""The datasets of benchmarks.fit, in words."""
PEERS = [
    "Ours is checked at every moment of the motion, clearances kept, and committed on disk; roboplan's edges are",
    "checked each 0.05 rad, sampled, and not written. Both are looked at every 5 ms by roboplan's check. Of inverse",
    "kinematics only an answer inside the limits counts: ours is numerical; the peers' are closed forms, of which eaik",
    "and frankik try values of the Panda's seventh joint. Ours limits jerk; toppra doesn't, but times any path.",
]
"""What the peers of benchmarks.peers check and what not."""


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


def _copies_audit(figures: Figures) -> list[str]:
    return [*_copies_found(figures), "", *_audit(figures)]


def _copies_found(figures: Figures) -> list[str]:
    lines = [f"| | {' | '.join(figures)} |", "|---" * (1 + len(figures)) + "|"]
    rows: dict[str, Callable[[Figures], str]] = {
        "rows audited, of those asked for": lambda found: f"{found['rows']:,} of {found['asked']:,}",
        "candidates": lambda found: _number(found["attempts"]),
        "of them rejected": lambda found: "<br>".join(
            f"`{why}` {count / found['attempts']:.1%}" for why, count in found["rejected"].items()
        ),
        "violations in the audit": lambda found: _number(found["violations"]),
        "rows walked every 4 ms": lambda found: _number(found["dense"]),
        "further ones every 100 ms": lambda found: _number(found["walked"] - found["dense"]),
        "moments, and colliding ones": lambda found: f"{found['moments']:,}, {found['colliding']:,}",
        "least distance of two hulls": lambda found: f"{found['least_mm']:.1f} mm",
    }
    for name, cell in rows.items():
        lines.append(f"| {name} | {' | '.join(cell(found) or '-' for found in figures.values())} |")
    return lines


def _check(checked: int, violations: int, worst: float | None) -> str:
    if not checked:
        return "-"
    return f"{violations:,} of {checked:,}" + ("" if worst is None else f", worst {worst:.2g}")


def _fit(figures: Figures) -> list[str]:
    lines = ["| dataset | distance | motion alone | with the scale of `joint_space`'s action_range |", "|---" * 4 + "|"]
    for name, words in FITTED.items():
        low, high, whole, motion, wide = (
            f"{figures[f'{name}_{key}']:.2f}"
            for key in ("distance_low", "distance_high", "distance", "motion_distance", "distance_wide_scale")
        )
        lines.append(f"| {words} | {whole} [{low}, {high}] | {motion} | {wide} |")
    return lines


def _heads(figures: Figures) -> list[str]:
    lines = ["| head | images | `normal` [s/step] | `decoupled` [s/step] | decoupled / normal |", "|---" * 5 + "|"]
    for suffix, images in (("", "no"), ("_images", "two cameras"), ("_features", "two cameras, frozen")):
        for head in ("dp_c", "dp_mlp"):
            names = [f"{head}_{mode}{suffix}_s_per_step" for mode in ("normal", "decoupled")]
            if all(name in figures for name in names):
                normal, decoupled = (figures[name] for name in names)
                ratio = decoupled / normal
                lines.append(f"| `{head}` | {images} | {normal:.3f} | {decoupled:.3f} | {ratio:.2f} |")
    return lines


def _few_steps(figures: Figures) -> list[str]:
    lines = ["| head | 10 of DDIM | 4 of flow matching | 2 | 1 |", "|---" * 5 + "|"]
    names = {"dp_mlp": "`dp_mlp` paper", "dp_mlp_small": "`dp_mlp` small", "dp_c_small": "`dp_c` small"}
    for head, words in names.items():
        times = [
            f"{figures[f'{head}_{way}_cpu_p50_ms']:.1f}, {figures[f'{head}_{way}_cpu_p99_ms']:.1f} ms"
            for way in ("ddim10", "flow4", "flow2", "flow1")
        ]
        lines.append(f"| {words} | {' | '.join(times)} |")
    about = f"Median and 99th percentile of the CPU time of a chunk, of {figures['chunks']} chunks each."
    return [*lines, "", about]


def _peers(figures: Figures) -> list[str]:
    lines = ["| scene | ours [rows/s] | roboplan with Ruckig [rows/s] | ratio | colliding at 5 ms: ours, roboplan |"]
    lines.append("|---" * 5 + "|")
    for name in ("open", "one_box", "five_boxes"):
        ours, theirs = (f"{figures[f'{name}_{who}_per_s']:,.0f}" for who in ("ours", "roboplan"))
        colliding = ", ".join(f"{figures[f'{name}_{who}_colliding']:.1%}" for who in ("ours", "roboplan"))
        lines.append(f"| `{name}` | {ours} | {theirs} | {figures[f'{name}_ours_over_roboplan']:.2f} | {colliding} |")
    lines += ["", "| inverse kinematics | poses | `panda`: a pose, solved | `ur5`: a pose, solved |", "|---" * 4 + "|"]
    for who in ("ours", "eaik", "ssik", "frankik"):
        for calls, words in (("together", "all in a call"), ("alone", "one a call")):
            cells = [_solved(figures, f"{arm}_{who}_{calls}") for arm in ("panda", "ur5")]
            if any(cells):
                lines.append(f"| {who} | {words} | {' | '.join(cell or '-' for cell in cells)} |")
    lines += ["", "| timing | profiles/s | duration |", "|---" * 3 + "|"]
    lines.append(f"| ours | {figures['profiles_ours_per_s']:,.0f} | {figures['duration_ours_over_toppra']:.3f} |")
    return [*lines, f"| toppra | {figures['profiles_toppra_per_s']:,.0f} | 1 |", "", *PEERS]


def _solved(figures: Figures, name: str) -> str:
    return f"{figures[f'{name}_us']:.1f} us, {figures[f'{name}_solved']:.1%}" if f"{name}_us" in figures else ""


_TABLES: dict[str, Callable[[Figures], list[str]]] = {
    "ik": _ik,
    "robots": _robots,
    "audit": _audit,
    "copies_audit": _copies_audit,
    "fit": _fit,
    "heads": _heads,
    "few_steps": _few_steps,
    "peers": _peers,
}


def benchmark_table(name: str) -> list[str]:
    """The figures of a benchmark that is kept, below what was run on what and when."""
    kept: dict[str, Any] = json.loads((KEPT / f"{name}.json").read_text())
    table = _TABLES.get(name, _every_figure)(kept["figures"])
    return [f"`{kept['command']}` on {kept['machine']}, {kept['date']}:", "", *table]


def copies_table() -> list[str]:
    """What is kept of many copies, without each check of the audit, and of copies on every engine and after kills."""
    audited = json.loads((KEPT / "copies_audit.json").read_text())
    lines = [f"`{audited['command']}`:", "", *_copies_found(audited["figures"])]
    if not (KEPT / "copies_kills.json").exists():
        return lines
    killed = json.loads((KEPT / "copies_kills.json").read_text())
    return [*lines, "", f"`{killed['command']}`:", "", *_copies_kills(killed["figures"])]


def _copies_kills(found: Figures) -> list[str]:
    kills = ", ".join(str(found[f"kills_{victim}"]) for victim in ("api", "worker", "head"))
    cells = [found["robots"], f"{found['shards']:,}", found["engines"], kills, str(found["differ"])]
    return [
        "| arms | shards | engines | kills: API, worker, head | shards that differ | rows lost, doubled |",
        "|---" * 6 + "|",
        f"| {' | '.join(cells)} | {found['lost']}, {found['doubled']} |",
    ]


def benchmark_tables() -> list[str]:
    """A section for each benchmark that is kept."""
    names = sorted(path.stem for path in KEPT.glob("*.json"))
    return [line for name in names for line in ("", f"### {name}", "", *benchmark_table(name))]
