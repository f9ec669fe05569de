"""Contenders that take turns, so that whatever else the machine does meets them alike."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass
class Contender:
    """Makes some rows in each of its turns, and says how many rows and samples they were."""

    name: str
    make: Callable[[int], tuple[int, int]]
    rates: list[float] = field(default_factory=list)
    cpu_rates: list[float] = field(default_factory=list)
    rows: int = 0
    samples: int = 0

    def run(self, turn: int) -> None:
        """One timed turn."""
        began, cpu_began = time.perf_counter(), time.process_time()
        rows, samples = self.make(turn)
        self.rates.append(rows / (time.perf_counter() - began))
        self.cpu_rates.append(rows / (time.process_time() - cpu_began))
        self.rows += rows
        self.samples += samples

    @property
    def rate(self) -> float:
        """Median rate over the turns [1/s]."""
        return statistics.median(self.rates)

    @property
    def samples_per_row(self) -> float:
        """Mean over all turns."""
        return self.samples / max(self.rows, 1)


def take_turns(contenders: Sequence[Contender], turns: int) -> None:
    """Runs every contender in every turn, and prints the rates."""
    for turn in range(turns):
        for contender in contenders:
            contender.run(turn)
        print(f"turn {turn + 1}: " + ", ".join(f"{c.name} {c.rates[-1]:,.0f}/s" for c in contenders), flush=True)


def ratio(one: Contender, other: Contender) -> float:
    """Median of the ratios of their rates within a turn."""
    return statistics.median(a / b for a, b in zip(one.rates, other.rates, strict=True))


def cpu_ratio(one: Contender, other: Contender) -> float:
    """The same by the CPU time of this process: what a core shared with other programs leaves comparable."""
    return statistics.median(a / b for a, b in zip(one.cpu_rates, other.cpu_rates, strict=True))
