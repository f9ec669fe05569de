"""The tables of docs/results/README.md on where the frozen head is behind, of what benchmarks.stage2_variants kept."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from docs.four_tasks import COPIES, DEMONSTRATIONS, TASKS

KEPT = Path(__file__).resolve().parent / "results" / "behind"
LEVELS = {"0-9": range(10), "10-29": range(10, 30), "30-59": range(30, 60), "60-99": range(60, 100)}
"""Timesteps, from those with hardly any noise on."""
ACTS = {"stack": 2, "can": 2, "square": 2, "stack_three": 4}
"""How often each task has the gripper close or open."""
Row = dict[str, Any]


def behind_table() -> list[str]:
    """Markdown rows of every kept task."""
    lines = []
    for path in sorted(KEPT.glob("*.json")):
        kept = json.loads(path.read_text())
        baseline = next(row for row in kept["rows"] if row["variant"] == "normal")
        lines += ["", f"`{kept['command']}` on {kept['machine']}:", ""]
        lines += [
            "| variant | steps, learning rate | trained parameters | CPU seconds, against `normal`'s "
            f"| loss on held-out demonstrations, at timesteps {', '.join(LEVELS)} | over all, against `normal`'s "
            "| loss on copies | position error of held-out demonstrations, and of copies "
            "| in the plane, where the gripper acts on copies: mean, 90 % |",
            "|---" * 9 + "|",
        ]
        lines += [_line(row, baseline) for row in kept["rows"]]
    return lines


def acts_table() -> list[str]:
    """What the kept runs with copies say: held-out loss, success, and failures of each act of the gripper.

    The latter as if each act failed as often as any other: 1 - rate ** (1 / acts).
    """
    lines = [
        "| task | acts of the gripper | seeds | held-out loss, decoupled and normal | success | failures of an act |",
        "|---" * 6 + "|",
    ]
    for task, acts in ACTS.items():
        rows = [
            row
            for row in json.loads((KEPT.parent / TASKS[task] / "report.json").read_text())["results"]
            if (row["task"], row["demonstrations"], row["multiplied"]) == (task, DEMONSTRATIONS, COPIES)
            and row["basis"]
        ]
        own = {mode: [row for row in rows if row["mode"] == mode] for mode in ("decoupled", "normal")}
        loss = {mode: float(np.mean([row["validation_loss"] for row in of])) for mode, of in own.items()}
        rate = {mode: float(np.mean([row["outcomes"] for row in of])) for mode, of in own.items()}
        failed = {mode: 1 - one ** (1 / acts) for mode, one in rate.items()}
        lines.append(
            f"| {task} | {acts} | {len(own['normal'])} "
            f"| {loss['decoupled']:.4f}, {loss['normal']:.4f}: x {loss['decoupled'] / loss['normal']:.2f} "
            f"| {rate['decoupled']:.1%}, {rate['normal']:.1%} "
            f"| {failed['decoupled']:.1%}, {failed['normal']:.1%}: x {failed['decoupled'] / failed['normal']:.2f} |"
        )
    return lines


def _line(row: Row, baseline: Row) -> str:
    copies, held_out = row["copies"], row["held_out"]
    levels = ", ".join(f"{held_out[name]:.4f}" for name in LEVELS)
    return (
        f"| {row['variant']} | {row['steps']:,}, {row['learning_rate']:g} | {row['trained_parameters']:,} "
        f"| {row['train_seconds']:.0f}, {row['train_seconds'] / baseline['train_seconds']:.2f} | {levels} "
        f"| {held_out['all']:.4f}, {held_out['all'] / baseline['held_out']['all']:.2f} | {copies['all']:.4f} "
        f"| {held_out['position_mm']:.1f}, {copies['position_mm']:.1f} mm "
        f"| {copies['gripper_plane_mm']:.1f}, {copies['gripper_plane_p90_mm']:.1f} mm |"
    )
