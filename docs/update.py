"""Fills the generated parts of the documentation, between <!-- name --> and <!-- /name -->: `make docs`.

Figures come from the run files kept in docs/results/, never from typing. With --check, changes nothing and fails if
something would change.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from docs.behind import acts_table, behind_table
from docs.benchmark_tables import benchmark_table, benchmark_tables, copies_table
from docs.cameras import cameras_table
from docs.closed_loop import closed_loop_table
from docs.few_steps import few_steps_table
from docs.four_tasks import four_tasks_table
from docs.paper_comparison import comparison_table
from docs.smoothing import smoothing_table
from docs.training_settings import settings_table
from services.catalogue import ARMS
from services.catalogue.default_limits import RULE
from shared import records
from tests.mutants.table import read_table
from trainer.config import CONDITIONINGS, HeadConfig, SizeName
from trainer.data.action import POSE_DIM
from trainer.model.backbones import build_backbone
from trainer.model.conditioning import stage1_conditioning
from trainer.recipe import presets
from trainer.recipe.result_tables import compared, groups, motion_table, success_table, training_table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
SHOWN_SIZES: tuple[SizeName, ...] = ("small", "paper")


def records_table() -> list[str]:
    """Every column of the record."""
    lines = ["| column | type | shape | unit | meaning |", "|---|---|---|---|---|"]
    for column in records.COLUMNS:
        meaning = f"{column.meaning} (on request)" if column.optional else column.meaning
        lines.append(f"| `{column.name}` | {column.dtype} | {column.shape or '-'} | {column.unit} | {meaning} |")
    return lines


def presets_table() -> list[str]:
    """Every preset of the recipe, as it is where there is a GPU."""
    lines = ["| preset | trajectories | head | Stage 1 | Stage 2 | seeds | rollouts |", "|---|---|---|---|---|---|---|"]
    for name in presets.NAMES:
        recipe = presets.recipe(name, gpu=True)
        plans = [
            f"{t.task}: {t.demonstrations} demos{f' of {t.pool}' if t.pool else ''}"
            f"{f' and {t.copies:,} copies' if t.copies else ''}, {t.steps:,} steps, "
            f"{len(t.modes)} mode{'s' if len(t.modes) > 1 else ''}"
            for t in recipe.tasks
        ]
        lines.append(
            f"| `{name}` | {recipe.trajectories:,} | dp_mlp {recipe.size} | {recipe.stage1_steps:,} steps of "
            f"{recipe.stage1_batch} | {'; '.join(plans)} | {len(recipe.seeds)} | {recipe.episodes} each |"
        )
    return lines


def heads_table() -> list[str]:
    """Weights of every head with every conditioning."""
    lines = ["| head | conditioning | `small` | `paper` |", "|---|---|---|---|"]
    for head, conditionings in CONDITIONINGS.items():
        for conditioning in conditionings:
            cells = [_weights(HeadConfig(head=head, size=size, conditioning=conditioning)) for size in SHOWN_SIZES]
            lines.append(f"| `{head}` | `{conditioning}` | {' | '.join(cells)} |")
    return lines


def _weights(config: HeadConfig) -> str:
    # On meta nothing is allocated.
    with torch.device("meta"):
        backbone = build_backbone(config, POSE_DIM)
        conditioning = stage1_conditioning(config, backbone, 2 * 137, 2)
    return " + ".join(f"{sum(p.numel() for p in module.parameters()):,}" for module in (backbone, conditioning))


def results_table() -> list[str]:
    """The success and training tables of every kept report."""
    lines = []
    for path in sorted(RESULTS.glob("*/report.json")):
        report: dict[str, Any] = json.loads(path.read_text())
        grouped = groups(report["results"])
        lines += ["", f"`{report['command']}` on {report['machine']}:", ""]
        lines += [*success_table(grouped), ""]
        lines += ["From the same initial states:", "", *differences, ""] if (differences := compared(grouped)) else []
        lines += [*motion, ""] if (motion := motion_table(grouped)) else []
        lines += [*training_table(report, grouped), ""]
    return lines


def gates_table() -> list[str]:
    """Both starts of a random body's gates, beside decoupled, with 25 demonstrations and the motion basis."""
    open_ones = json.loads((RESULTS / "few" / "report.json").read_text())["results"]
    closed = json.loads((RESULTS / "few" / "gates.json").read_text())["results"]
    rows = [
        row
        for row in open_ones
        if row["mode"] in ("decoupled", "random_body")
        and (row["demonstrations"], row["basis"] > 0, row.get("multiplied", 0)) == (25, True, 0)
    ]
    return success_table(groups([*rows, *({**row, "task": f"{row['task']}, gates closed"} for row in closed)]))


def headline_table() -> list[str]:
    """The success table of the default run, or of the one with several seeds, for the README."""
    path = next((path for name in ("quick", "few") if (path := RESULTS / name / "report.json").exists()), None)
    if path is None:
        return []
    report: dict[str, Any] = json.loads(path.read_text())
    return [f"`{report['command']}` on {report['machine']}:", "", *success_table(groups(report["results"]))]


def robots_table() -> list[str]:
    """Every arm of the catalogue."""
    lines = ["| name | arm | joints | base | tool | acceleration and jerk |", "|---|---|---|---|---|---|"]
    for arm in ARMS.values():
        source = arm.limits_source.partition(":")[0] if arm.limits_source == RULE else arm.limits_source
        lines.append(
            f"| `{arm.name}` | {arm.title} | {len(arm.joints)} | `{arm.base_frame}` | `{arm.tool_frame}` | {source} |"
        )
    return lines


def mutants_table() -> list[str]:
    """Every mutant, where it is, and what kills it."""
    lines = ["| what is wrong then | in | killed by |", "|---|---|---|"]
    for mutant in read_table():
        tests = "<br>".join(f"`{test}`" for test in mutant.tests)
        lines.append(f"| {mutant.name} | `{mutant.file}` | {tests} |")
    return lines


PARTS: dict[str, tuple[Path, Callable[[], list[str]]]] = {
    "records": (ROOT / "docs" / "data-format.md", records_table),
    "mutants": (ROOT / "docs" / "mutants.md", mutants_table),
    "heads": (ROOT / "docs" / "adding-a-head.md", heads_table),
    "paper": (ROOT / "docs" / "recipe.md", comparison_table),
    "presets": (ROOT / "docs" / "recipe.md", presets_table),
    "training-settings": (ROOT / "docs" / "training.md", settings_table),
    "robots": (ROOT / "docs" / "robots.md", robots_table),
    "benchmarks": (RESULTS / "benchmarks.md", benchmark_tables),
    "copies": (ROOT / "docs" / "copies.md", copies_table),
    "fit": (ROOT / "docs" / "report.md", lambda: benchmark_table("fit")),
    "reports": (RESULTS / "README.md", results_table),
    "four-tasks": (RESULTS / "README.md", four_tasks_table),
    "gates": (RESULTS / "README.md", gates_table),
    "few_steps": (RESULTS / "README.md", few_steps_table),
    "acts": (RESULTS / "README.md", acts_table),
    "behind": (RESULTS / "README.md", behind_table),
    "smoothing": (RESULTS / "README.md", smoothing_table),
    "cameras": (RESULTS / "README.md", cameras_table),
    "closed-loop": (RESULTS / "README.md", closed_loop_table),
    "results": (ROOT / "README.md", headline_table),
}


def filled(name: str) -> tuple[Path, str, str]:
    """The file of a part, its text now and its text with the part filled."""
    path, make = PARTS[name]
    text = path.read_text()
    body = "\n".join(make()).strip()
    pattern = re.compile(rf"<!-- {name} -->\n.*?<!-- /{name} -->", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{path}: lacks the marks <!-- {name} --> and <!-- /{name} -->")
    return path, text, pattern.sub(lambda _: f"<!-- {name} -->\n{body}\n<!-- /{name} -->", text)


def main() -> None:
    """Fills every part, or checks that every part is filled."""
    stale = []
    for name in PARTS:
        path, before, after = filled(name)
        if before != after:
            stale.append(f"{path.relative_to(ROOT)}: {name}")
            if "--check" not in sys.argv:
                path.write_text(after)
    if stale and "--check" in sys.argv:
        raise SystemExit(f"out of date, run `make docs`: {', '.join(stale)}")


if __name__ == "__main__":
    main()
