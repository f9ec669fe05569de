"""How long work says how far it is: done, total, rate, remaining time.

A program's functions take any `Progress`. On a terminal it is a bar; in a log, a line every few seconds; under the
recipe, which shows several processes at once, a small file that the recipe reads.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

PROGRESS_FILE = "HEADSTART_PROGRESS_FILE"
"""Environment variable by which the recipe asks a step to report to a file."""

_LOG_SECONDS = 10.0
_FILE_SECONDS = 0.5


class Progress(Protocol):
    """Called with the amount of work done, the total, and a few words on how it goes."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Reports that `done` of `total` is done."""
        ...


def silent(done: int, total: int, note: str = "") -> None:
    """A `Progress` that says nothing."""


@contextmanager
def progress(label: str) -> Iterator[Progress]:
    """The `Progress` that suits where this program's output goes."""
    target = os.environ.get(PROGRESS_FILE)
    if target:
        yield _FileProgress(Path(target))
    elif sys.stderr.isatty():
        with _bar() as bar:
            task = bar.add_task(label, total=None, note="")

            def show(done: int, total: int, note: str = "") -> None:
                bar.update(task, completed=done, total=total, note=_with_rate(rate(done, total), note))

            rate = RateMeter()
            yield show
    else:
        yield _LogProgress(label)


class RateMeter:
    """Rate since the first report, so that resumed work is not counted as done in no time.

    Another total, or less done than before, is other work, as when training follows on the decoding of pictures: its
    rate is a new one.
    """

    def __init__(self) -> None:
        self._start = (0.0, 0)
        self._last: tuple[int, int] | None = None

    def __call__(self, done: int, total: int) -> float:
        """Units per second, 0 while unknown."""
        now = time.monotonic()
        if self._last is None or done < self._last[0] or total != self._last[1]:
            self._start = now, done
        self._last = done, total
        seconds = now - self._start[0]
        return (done - self._start[1]) / seconds if seconds > 0 else 0.0


def duration(seconds: float) -> str:
    """Seconds for people: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _with_rate(rate: float, note: str) -> str:
    return f"{rate:.3g}/s {note}" if rate else note


def _bar() -> RichProgress:
    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
    )


class _Pace:
    """Lets something be told once in so many seconds, and at the end."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._next = seconds, 0.0

    def is_due(self, done: int, total: int) -> bool:
        now = time.monotonic()
        if now < self._next and done < total:
            return False
        self._next = now + self._seconds
        return True


class _LogProgress:
    def __init__(self, label: str) -> None:
        self._label = label
        self._rate, self._pace = RateMeter(), _Pace(_LOG_SECONDS)

    def __call__(self, done: int, total: int, note: str = "") -> None:
        rate = self._rate(done, total)
        if not self._pace.is_due(done, total):
            return
        remaining = f", {duration((total - done) / rate)} left" if rate and done < total else ""
        print(f"{self._label}: {done}/{total} {_with_rate(rate, note)}{remaining}", file=sys.stderr, flush=True)


class _FileProgress:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._rate, self._pace = RateMeter(), _Pace(_FILE_SECONDS)

    def __call__(self, done: int, total: int, note: str = "") -> None:
        rate = self._rate(done, total)
        if not self._pace.is_due(done, total):
            return
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps({"done": done, "total": total, "rate": rate, "note": note}))
        part.replace(self._path)
