"""Steps of a recipe: commands with what they need, run a few at a time, skipped when done, ended cleanly on Ctrl-C.

A step is a process of its own with its share of the cores, its output in a log. What it has finished is marked by a
file it writes itself, so a second run goes on where the first one stopped.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from shared.errors import HeadstartError
from trainer.progress import PROGRESS_FILE, duration

_SHOW_SECONDS = 15.0
_GRACE_SECONDS = 60.0


class StepError(HeadstartError):
    """A step ended with an error; says where its log is."""


@dataclass(frozen=True)
class Step:
    """One command of a recipe.

    Attributes:
        name: unique, in words fit for a file name.
        arguments: of `python -m trainer`.
        done: the file whose presence says that the step has finished.
        needs: names of the steps that come first.
        alone_on: what it needs to itself, such as a GPU: no other step with the same runs meanwhile.
        after: called in the parent when the step has finished.
    """

    name: str
    arguments: tuple[str, ...]
    done: Path
    needs: tuple[str, ...] = ()
    alone_on: str | None = None
    after: Callable[[], None] | None = None

    @property
    def is_done(self) -> bool:
        """Whether an earlier run has finished it."""
        return self.done.exists()


@dataclass
class _Running:
    step: Step
    process: subprocess.Popen[bytes]
    progress_file: Path
    since: float = field(default_factory=time.monotonic)

    def describe(self) -> str:
        elapsed = time.monotonic() - self.since
        try:
            state = json.loads(self.progress_file.read_text())
        except (FileNotFoundError, ValueError):
            return f"{self.step.name}: starting ({duration(elapsed)})"
        done, total, rate = state["done"], state["total"], state["rate"]
        left = f", {duration((total - done) / rate)} left" if rate and done < total else ""
        per_second = f", {rate:.3g}/s" if rate else ""
        note = f" ({state['note']})" if state["note"] else ""
        return f"{self.step.name}: {done}/{total}{per_second}{left}{note}"


def run_steps(steps: Sequence[Step], folder: Path, parallel: int, console: Console) -> None:
    """Runs the steps that are not done, at most `parallel` at once, in an order that respects what they need.

    Args:
        steps: in order of preference among those that are ready.
        folder: where their logs and progress files go.
        parallel: processes at once.
        console: where progress is printed.

    Raises:
        StepError: a step failed; the others were ended first, and have saved what they had.
        KeyboardInterrupt: passed on after every step has saved and ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    finished = {step.name for step in steps if step.is_done}
    for name in sorted(finished):
        console.print(f"[dim]{name}: done earlier[/dim]")
    running: list[_Running] = []
    threads = max(1, len(os.sched_getaffinity(0)) // parallel)
    shown = time.monotonic()
    try:
        while len(finished) < len(steps):
            while len(running) < parallel and (step := _next(steps, finished, running)):
                running.append(_start(step, folder, threads, console))
            time.sleep(0.1)
            for job in [job for job in running if job.process.poll() is not None]:
                running.remove(job)
                _finish(job, folder, console)
                finished.add(job.step.name)
            if time.monotonic() - shown > _SHOW_SECONDS:
                shown = time.monotonic()
                for job in running:
                    console.print(f"  {escape(job.describe())}", highlight=False, soft_wrap=True)
    finally:
        _end(running, console)


def _next(steps: Sequence[Step], finished: set[str], running: list[_Running]) -> Step | None:
    """The first step that can start now."""
    begun = finished | {job.step.name for job in running}
    taken = {job.step.alone_on for job in running} - {None}
    ready = (step for step in steps if step.name not in begun and finished.issuperset(step.needs))
    return next((step for step in ready if step.alone_on not in taken), None)


def _start(step: Step, folder: Path, threads: int, console: Console) -> _Running:
    progress_file = folder / f"{step.name}.progress.json"
    progress_file.unlink(missing_ok=True)
    environment = {**os.environ, PROGRESS_FILE: str(progress_file), "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "trainer", *step.arguments]
    with (folder / f"{step.name}.log").open("ab") as log:
        log.write(f"$ python -m trainer {' '.join(step.arguments)}\n".encode())
        log.flush()
        # A session of its own: Ctrl-C reaches only the recipe, which then asks each step once. File descriptors that
        # were made inheritable stay open: so the recipe's lock is held as long as any step lives.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
            close_fds=False,
        )
    words = escape(" ".join(step.arguments))
    console.print(f"[bold]{step.name}[/bold] [dim]python -m trainer {words}[/dim]", soft_wrap=True)
    return _Running(step, process, progress_file)


def _finish(job: _Running, folder: Path, console: Console) -> None:
    seconds = time.monotonic() - job.since
    if job.process.returncode or not job.step.is_done:
        log = folder / f"{job.step.name}.log"
        last = "\n".join(log.read_text(errors="replace").strip().splitlines()[-3:])
        raise StepError(f"step '{job.step.name}' ended with code {job.process.returncode}; its log is {log}:\n{last}")
    console.print(f"[green]{job.step.name}[/green]: done in {duration(seconds)}")
    if job.step.after is not None:
        job.step.after()


def _end(running: list[_Running], console: Console) -> None:
    """Asks the steps still running to save and end; they get a minute."""
    if not running:
        return
    console.print("stopping: each step saves first ...")
    for job in running:
        job.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_SECONDS
    for job in running:
        try:
            job.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            job.process.kill()
            job.process.wait()
