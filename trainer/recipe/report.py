"""The report of a run: what was run, by which command, and what came out, generated from the files of the run.

report.json has every number; curves come from the runs' metrics, strips from their rollouts.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.errors import ConfigError
from trainer.intervals import wilson
from trainer.json_lines import read_lines
from trainer.progress import duration
from trainer.recipe import plots
from trainer.recipe.result_tables import Group, compared, groups, motion_table, success_table, training_table
from trainer.tensor_file import publish

RESULT_KEYS = (
    "task",
    "mode",
    "head",
    "size",
    "conditioning",
    "action",
    "demonstrations",
    "multiplied",
    "seed",
    "episodes",
    "successes",
    "first_seed",
    "outcomes",
    "train_seconds",
    "steps",
    "checkpoint_step",
    "device",
    "threads",
    "stage1",
    "basis",
    "chunk_jerk_m_per_s3",
    "demonstration_jerk_m_per_s3",
    "border_jump_m",
)
"""What every entry of `results` holds; DESIGN's run folder contract."""


def write_report(folder: Path, summary: dict[str, Any], found: Sequence[Path]) -> Path:
    """Writes report.json, report.md and the pictures of a recipe.

    Args:
        folder: of the whole run.
        summary: what is known of it besides its results: recipe, command, data, experts, stage1, seconds, machine.
        found: results of the trained policies, each beside the metrics.jsonl of its run.

    Returns:
        The path of report.md.

    Raises ConfigError when a result lacks a key.
    """
    results = [_read_result(path) for path in found]
    runs = list(dict.fromkeys(path.parent for path in found))
    report = {**summary, "results": results}
    publish(folder / "report.json", json.dumps(report, indent=1).encode())
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    grouped = groups(results)
    curves = {run.name: read_lines(run / "metrics.jsonl") for run in _with_stage1(folder, runs)}
    plots.losses(figures / "losses.png", curves)
    plots.success(figures / "success.png", [(g.label, g.mode, g.rate, *g.interval) for g in grouped])
    trainings = {(g.task, g.demonstrations, g.multiplied, g.mode): g for g in reversed(grouped)}
    seconds = [(f"{g.task} {g.learned_from}\n{g.mode}", g.mode, g.mean("train_seconds")) for g in trainings.values()]
    plots.seconds(figures / "seconds.png", seconds[::-1])
    strips = sorted(path.relative_to(folder) for run in runs for path in run.glob("strip-*.png"))
    target = folder / "report.md"
    target.write_text("\n".join(_markdown(report, grouped, strips)) + "\n")
    return target


def _read_result(path: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(path.read_text())
    missing = [key for key in RESULT_KEYS if key not in result]
    if missing:
        raise ConfigError(f"{path}: not a result of this release, it lacks {', '.join(missing)}; evaluate it again")
    return result


def _with_stage1(folder: Path, runs: Sequence[Path]) -> list[Path]:
    stage1 = folder / "stage1"
    return [stage1, *runs] if stage1.exists() else list(runs)


def _markdown(report: dict[str, Any], grouped: list[Group], strips: list[Path]) -> list[str]:
    lines = [f"# Headstart report: {report['recipe']['name']}", "", f"`{report['command']}`, {report['machine']}", ""]
    lines += ["## Success in closed-loop simulation", "", *success_table(grouped), ""]
    lines += ["From the same initial states:", "", *differences, ""] if (differences := compared(grouped)) else []
    lines += ["![success](figures/success.png)", ""]
    lines += ["## Motion", "", *motion, ""] if (motion := motion_table(grouped)) else []
    lines += ["## Training", "", *training_table(report, grouped), ""]
    lines += ["![training seconds](figures/seconds.png)", "", "![losses](figures/losses.png)", ""]
    lines += ["## Data", "", *_data(report), "", "## Rollouts", ""]
    lines += [f"![{path.stem}]({path})" for path in strips]
    return lines


def _data(report: dict[str, Any]) -> list[str]:
    lines = []
    if report.get("data"):
        data = report["data"]
        rejected = ", ".join(f"{count} {reason}" for reason, count in sorted(data["rejections"].items())) or "none"
        lines.append(
            f"- {data['rows']:,} generated trajectories ({data['samples']:,} samples at {data['rate_hz']:g} Hz, "
            f"{data['robot']}), dataset `{data['dataset_id'][:12]}`; rejected candidates: {rejected}."
        )
    for expert in report.get("experts", []):
        low, high = wilson(expert["successes"], expert["attempts"])
        lines.append(
            f"- {expert['task']}: the scripted expert succeeded in {expert['successes']} of {expert['attempts']} "
            f"attempts ({low:.1%} to {high:.1%}); {expert['demonstrations']} demonstrations kept."
        )
    if report.get("demos"):
        demos = report["demos"]
        lines.append(f"- {demos['task']}: {demos['count']} demonstrations of `{demos['file']}`.")
    if report.get("estimate"):
        lines.append(f"- {report['estimate']}")
    lines.append(f"- The whole run took {duration(report['seconds'])}.")
    return lines
