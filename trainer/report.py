"""The report of a run: what was run, by which command, and what came out, generated from the files of the run.

report.json has every number; curves come from the runs' metrics, strips from their rollouts.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from shared.errors import ConfigError
from trainer import plots
from trainer.json_lines import read_lines
from trainer.progress import duration
from trainer.tensor_file import publish

MODES = ("decoupled", "normal", "random_body", "random_frozen")
RESULT_KEYS = (
    "task",
    "mode",
    "head",
    "size",
    "conditioning",
    "action",
    "demonstrations",
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
)
"""What every entry of `results` holds; DESIGN's run folder contract."""


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone."""

    task: str
    mode: str
    results: tuple[dict[str, Any], ...]

    @property
    def episodes(self) -> int:
        """Rollouts over all seeds."""
        return sum(int(result["episodes"]) for result in self.results)

    @property
    def successes(self) -> int:
        """Successful rollouts over all seeds."""
        return sum(int(result["successes"]) for result in self.results)

    @property
    def rate(self) -> float:
        """Success rate over all seeds, 0 to 1."""
        return self.successes / self.episodes

    def mean(self, key: str) -> float:
        """Mean over the seeds of a number in the results."""
        return float(np.mean([result[key] for result in self.results]))


def wilson(successes: int, episodes: int) -> tuple[float, float]:
    """95 % Wilson score interval of a success rate, as shares."""
    interval = binomtest(successes, episodes).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def groups(results: Iterable[dict[str, Any]]) -> list[Group]:
    """Results by task and mode, in a fixed order of modes."""
    by_key: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for result in results:
        by_key.setdefault((result["task"], result["mode"]), []).append(result)
    keys = sorted(by_key, key=lambda key: (key[0], MODES.index(key[1])))
    return [Group(*key, tuple(sorted(by_key[key], key=lambda r: int(r["seed"])))) for key in keys]


def write_report(folder: Path, summary: dict[str, Any], runs: Sequence[Path]) -> Path:
    """Writes report.json, report.md and the pictures of a recipe.

    Args:
        folder: of the whole run.
        summary: what is known of it besides its results: recipe, command, data, experts, stage1, seconds, machine.
        runs: folders of the trained policies, each with result.json and metrics.jsonl.

    Returns:
        The path of report.md.

    Raises ConfigError when a result lacks a key.
    """
    results = [_read_result(run / "result.json") for run in runs]
    report = {**summary, "results": results}
    publish(folder / "report.json", json.dumps(report, indent=1).encode())
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    grouped = groups(results)
    curves = {run.name: read_lines(run / "metrics.jsonl") for run in _with_stage1(folder, runs)}
    plots.losses(figures / "losses.png", curves)
    plots.success(
        figures / "success.png", [(g.task, g.mode, g.rate, *wilson(g.successes, g.episodes)) for g in grouped]
    )
    plots.seconds(figures / "seconds.png", [(g.task, g.mode, g.mean("train_seconds")) for g in grouped])
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
    lines += _paired(grouped)
    lines += ["![success](figures/success.png)", "", "## Training", "", *training_table(report, grouped), ""]
    lines += ["![training seconds](figures/seconds.png)", "", "![losses](figures/losses.png)", ""]
    lines += ["## Data", "", *_data(report), "", "## Rollouts", ""]
    lines += [f"![{path.stem}]({path})" for path in strips]
    return lines


def success_table(grouped: Sequence[Group]) -> list[str]:
    """Markdown rows: task, mode, successes by seed, rate with its interval."""
    lines = ["| task | mode | seeds | successes | rate | Wilson 95 % |", "|---|---|---|---|---|---|"]
    for group in grouped:
        low, high = wilson(group.successes, group.episodes)
        by_seed = ", ".join(f"{result['successes']}" for result in group.results)
        lines.append(
            f"| {group.task} | {group.mode} | {', '.join(str(r['seed']) for r in group.results)} "
            f"| {by_seed} of {group.results[0]['episodes']} | {group.rate:.1%} | {low:.1%} to {high:.1%} |"
        )
    return lines


def _paired(grouped: Sequence[Group]) -> list[str]:
    """Decoupled against each other mode on the same initial states, where both were run on the same seeds."""
    lines = []
    for task in sorted({group.task for group in grouped}):
        modes = {group.mode: group for group in grouped if group.task == task}
        ours = modes.pop("decoupled", None)
        for mode, other in modes.items():
            if ours is None or [r["seed"] for r in ours.results] != [r["seed"] for r in other.results]:
                continue
            a, b = (np.concatenate([r["outcomes"] for r in g.results]) for g in (ours, other))
            if a.size == b.size:
                only_ours, only_other = int((a > b).sum()), int((b > a).sum())
                lines.append(
                    f"- {task}, same initial states: decoupled alone succeeded {only_ours} times, {mode} alone "
                    f"{only_other} times of {a.size} (difference {100 * (a.mean() - b.mean()):+.1f} points)."
                )
    return [*lines, ""] if lines else []


def training_table(report: dict[str, Any], grouped: Sequence[Group]) -> list[str]:
    """Markdown rows: steps, seconds and seconds per step of Stage 1 and of each task and mode."""
    lines = [
        "| run | steps | trained parameters | seconds | ms/step | position error | rotation error | gripper |",
        "|---|---|---|---|---|---|---|---|",
    ]
    stage1 = report.get("stage1")
    if stage1:
        lines.append(_training_row("Stage 1", [stage1]))
    lines += [_training_row(f"{group.task}, {group.mode}", group.results) for group in grouped]
    lines += [
        "",
        "Errors are those of full denoising on held-out windows.",
    ]
    return lines


def _training_row(name: str, results: Sequence[dict[str, Any]]) -> str:
    def mean(key: str) -> float:
        return float(np.mean([result[key] for result in results]))

    errors = [result.get("action_error") for result in results]
    known = [error for error in errors if error]
    cells = ["", "", ""]
    if known:
        means = {name: float(np.mean([error[name] for error in known])) for name in known[0]}
        joints = f"{means['joint_rad']:.4f} rad" if "joint_rad" in means else ""
        cells = [
            joints or f"{means['position_mm']:.1f} mm",
            "" if joints else f"{means['rotation_deg']:.2f} deg",
            f"{means['gripper_accuracy']:.1%}",
        ]
    seconds, steps = mean("train_seconds"), mean("checkpoint_step")
    trained = f"{mean('trained_parameters'):,.0f}" if all("trained_parameters" in r for r in results) else ""
    cells = [f"{steps:.0f}", trained, f"{seconds:.0f}", f"{1000 * seconds / max(steps, 1):.1f}", *cells]
    return f"| {name} | {' | '.join(cells)} |"


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
