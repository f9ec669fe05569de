"""The tables of a report: success, motion and training, one row for results that differ in their seed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np

from shared.errors import ConfigError
from trainer.intervals import Outcomes, difference_interval, rate_interval
from trainer.model.modes import MODES

_MODES: list[str] = list(MODES)
Result = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """Results that differ in their seed alone.

    Attributes:
        task, demonstrations, mode: of all of them.
        multiplied: copies of the demonstrations; 0 for none.
        basis: directions of the motion basis; 0 for none.
        held: whether chunks went on from the last commands.
        results: in the order of their seeds.
    """

    task: str
    demonstrations: int
    multiplied: int
    mode: str
    basis: int
    held: bool
    results: tuple[Result, ...]

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

    @cached_property
    def outcomes(self) -> Outcomes:
        """0 or 1 of each rollout, (seeds, initial states). Raises ConfigError where seeds have not the same states."""
        states = {(result["first_seed"], len(result["outcomes"])) for result in self.results}
        if len(states) > 1:
            raise ConfigError(
                f"the seeds of {self.task}, {self.mode} were rolled out from different initial states; evaluate all of "
                "them with the same --episodes and --first-seed"
            )
        return np.array([result["outcomes"] for result in self.results])

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the rate."""
        return rate_interval(self.outcomes)

    @property
    def label(self) -> str:
        """The group in a few words, for a picture."""
        return f"{self.task} {self.learned_from}\n{self.mode}\n{self.smoothing}"

    @property
    def learned_from(self) -> str:
        """Demonstrations, and copies of them."""
        return f"{self.demonstrations}" + (f" + {self.multiplied:,} copies" if self.multiplied else "")

    @property
    def smoothing(self) -> str:
        """How many directions are projected onto, and how chunks join where that is not as usual."""
        directions = f"{self.basis} directions" if self.basis else "none"
        return directions + {(True, False): ", chunks free", (False, True): ", chunks held"}.get(
            (self.basis > 0, self.held), ""
        )

    def mean(self, key: str) -> float | None:
        """Mean over the seeds of a number in the results; None where one lacks it."""
        values = [result.get(key) for result in self.results]
        return None if None in values else float(np.mean([float(value) for value in values if value is not None]))


def groups(results: Iterable[Result]) -> list[Group]:
    """Results by task, demonstrations, copies, basis and mode, in a fixed order. Those of earlier releases have no
    basis, and no copies."""

    def key(result: Result) -> tuple[Any, ...]:
        basis, held = int(result.get("basis", 0)), bool(result.get("held", int(result.get("basis", 0)) > 0))
        learned_from = result["task"], result["demonstrations"], int(result.get("multiplied", 0))
        return *learned_from, basis == 0, basis, not held, _MODES.index(result["mode"])

    ordered = sorted(results, key=lambda result: (key(result), int(result["seed"])))
    found = []
    for (task, count, copies, _, basis, free, mode), own in groupby(ordered, key):
        found.append(Group(task, count, copies, _MODES[mode], basis, not free, tuple(own)))
    return found


def success_table(grouped: Sequence[Group]) -> list[str]:
    """Markdown rows: successes by seed, the rate with its interval."""
    lines = ["| task | demonstrations | mode | motion basis | seeds | successes | rate | 95 % |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for group in grouped:
        low, high = group.interval
        by_seed = ", ".join(f"{result['successes']}" for result in group.results)
        seeds = ", ".join(str(result["seed"]) for result in group.results)
        lines.append(
            f"{_start(group)} | {seeds} | {by_seed} of {group.results[0]['episodes']} | {group.rate:.1%} "
            f"| {low:.1%} to {high:.1%} |"
        )
    return lines


def _start(group: Group) -> str:
    return f"| {group.task} | {group.learned_from} | {group.mode} | {group.smoothing}"


def compared(grouped: Sequence[Group]) -> list[str]:
    """Lines that compare decoupled with each other mode, and each mode with itself without the basis.

    Only where both were run with the same seeds from the same initial states.
    """
    usual = [group for group in grouped if group.held == (group.basis > 0)]
    if len({group.basis for group in usual if group.basis}) > 1:
        # Of policies with bases of different sizes it is not said which belong together.
        return []
    lines = _copies_compared(usual)
    lines += _modes_compared([group for group in usual if not group.multiplied], "")
    for copies in sorted({group.multiplied for group in usual if group.multiplied}):
        own = [group for group in usual if group.multiplied == copies]
        lines += _modes_compared(own, f", {copies:,} copies")
    return lines


def _copies_compared(grouped: Sequence[Group]) -> list[str]:
    """Each mode with itself without copies, where both have as much of a basis."""
    by_key = {(g.task, g.demonstrations, g.mode, g.basis > 0, g.multiplied): g for g in grouped}
    lines: list[str] = []
    for (task, count, mode, smooth, copies), group in by_key.items():
        if copies:
            without = by_key.get((task, count, mode, smooth, 0))
            what = f"{task}, {count} demonstrations, {mode}: with {copies:,} copies"
            lines += _difference(what, "without", [(group, without)])
    return lines


def _modes_compared(grouped: Sequence[Group], copies: str) -> list[str]:
    """Decoupled and other modes of policies that learned from as many copies, with the basis and without."""
    by_key = {(group.task, group.demonstrations, group.mode, group.basis > 0): group for group in grouped}
    tasks = sorted({group.task for group in grouped})
    counts = {task: sorted({group.demonstrations for group in grouped if group.task == task}) for task in tasks}
    lines: list[str] = []
    for task in tasks:
        for chosen in [[count] for count in counts[task]] + ([counts[task]] if len(counts[task]) > 1 else []):
            where = f"{task}, {' and '.join(map(str, chosen))} demonstrations{copies}"
            for smooth in (True, False):
                for mode in _MODES[1:]:
                    pairs = [
                        (by_key.get((task, n, "decoupled", smooth)), by_key.get((task, n, mode, smooth)))
                        for n in chosen
                    ]
                    lines += _difference(f"{where}, {_with(smooth)}: decoupled", mode, pairs)
            for mode in _MODES:
                pairs = [(by_key.get((task, n, mode, True)), by_key.get((task, n, mode, False))) for n in chosen]
                lines += _difference(f"{where}, {mode}: with the motion basis", "without", pairs)
    return lines


def _with(smooth: bool) -> str:
    return "with the motion basis" if smooth else "without"


def _difference(ours: str, others: str, pairs: Sequence[tuple[Group | None, Group | None]]) -> list[str]:
    """One line, or none where something was not run or not from the same states with the same seeds."""
    a, b = [], []
    for first, second in pairs:
        if first is None or second is None or not _is_paired(first, second):
            return []
        a.append(first.outcomes)
        b.append(second.outcomes)
    if len({(group.results[0]["first_seed"], group.outcomes.shape[1]) for group, _ in pairs if group}) != 1:
        return []
    mine, theirs = np.concatenate(a), np.concatenate(b)
    low, high = difference_interval(mine, theirs)
    points = 100 * float(mine.mean() - theirs.mean())
    return [f"- {ours} against {others}: {points:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})."]


def _is_paired(a: Group, b: Group) -> bool:
    return [_conditions(result) for result in a.results] == [_conditions(result) for result in b.results]


def _conditions(result: Result) -> tuple[Any, ...]:
    return result["seed"], result["first_seed"], len(result["outcomes"])


def motion_table(grouped: Sequence[Group]) -> list[str]:
    """Markdown rows: the motion that policies command beside the demonstrations'; none where it was not measured."""
    known = [group for group in grouped if group.mean("chunk_jerk_m_per_s3") is not None]
    if not known:
        return []
    lines = [
        "| task | demonstrations | mode | motion basis | jerk [m/s³] | acceleration [m/s²] | turning jerk [rad/s³] "
        "| jumps between chunks | faster than any demonstration |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for group in known:
        cells = [
            _beside(group, name) for name in ("jerk_m_per_s3", "acceleration_m_per_s2", "rotation_jerk_rad_per_s3")
        ]
        jump, turn, fast = (group.mean(key) for key in ("border_jump_m", "border_jump_rad", "fast_commands"))
        own = _jump(group.mean("demonstration_step_jump_m"), group.mean("demonstration_step_jump_rad"))
        cells.append(_jump(jump, turn) + (f" ({own})" if own else ""))
        cells.append("" if fast is None else f"{fast:.1%}")
        lines.append(f"{_start(group)} | {' | '.join(cells)} |")
    lines += [
        "",
        "Jerk and acceleration: median over predicted chunks (the demonstrations' mean). Jumps: 95th percentile over "
        "the places where chunks join (the demonstrations', over all steps), of how far a step is from the mean of the "
        "steps beside it.",
    ]
    return lines


def _jump(metres: float | None, radians: float | None) -> str:
    return "" if metres is None or radians is None else f"{1e3 * metres:.1f} mm, {np.rad2deg(radians):.2f} deg"


def _beside(group: Group, name: str) -> str:
    ours, theirs = group.mean(f"chunk_{name}"), group.mean(f"demonstration_{name}")
    if ours is None:
        return ""
    return f"{ours:.1f}" + ("" if theirs is None else f" ({theirs:.1f})")


def training_table(report: Mapping[str, Any], grouped: Sequence[Group]) -> list[str]:
    """Markdown rows: steps, seconds and seconds per step of Stage 1 and of each training, and held-out errors."""
    lines = [
        "| run | steps | trained parameters | seconds | ms/step | position error (slow, fast) | rotation error "
        "| gripper |",
        "|---|---|---|---|---|---|---|---|",
    ]
    if report.get("stage1"):
        lines.append(_training_row("Stage 1", [report["stage1"]]))
    seen = set()
    for group in grouped:
        # A training is one row, with and without the basis.
        name = f"{group.task}, {group.learned_from}, {group.mode}"
        if name not in seen:
            seen.add(name)
            lines.append(_training_row(name, group.results))
    lines += [
        "",
        "Errors are those of full denoising on held-out windows; slow and fast are their root mean squares in the "
        "first cosines over the window and in the rest, which is jitter.",
    ]
    return lines


def _training_row(name: str, results: Sequence[Mapping[str, Any]]) -> str:
    def mean(key: str) -> float:
        return float(np.mean([result[key] for result in results]))

    errors = [result.get("action_error") for result in results]
    known = [error for error in errors if error]
    cells = ["", "", ""]
    if known:
        names = [name for name in known[0] if all(name in error for error in known)]
        means = {name: float(np.mean([error[name] for error in known])) for name in names}
        kind, unit, digits = ("joint_rad", "rad", 4) if "joint_rad" in means else ("position_mm", "mm", 1)
        parts = [f"{means[f'{part}_{kind}']:.{digits}f}" for part in ("slow", "fast") if f"{part}_{kind}" in means]
        cells = [
            f"{means[kind]:.{digits}f} {unit}" + (f" ({', '.join(parts)})" if parts else ""),
            f"{means['rotation_deg']:.2f} deg" if "rotation_deg" in means else "",
            f"{means['gripper_accuracy']:.1%}",
        ]
    seconds, steps = mean("train_seconds"), mean("checkpoint_step")
    trained = f"{mean('trained_parameters'):,.0f}" if all("trained_parameters" in r for r in results) else ""
    cells = [f"{steps:.0f}", trained, f"{seconds:.0f}", f"{1000 * seconds / max(steps, 1):.1f}", *cells]
    return f"| {name} | {' | '.join(cells)} |"
