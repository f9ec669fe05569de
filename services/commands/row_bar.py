"""How far a command is: a bar on a terminal, else a line for every tenth of the way."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn


class RowBar:
    """Rows done of all rows. Shown for the time of a with block."""

    def __init__(self, console: Console, title: str, rows: int) -> None:
        self._console, self._tenth = console, 0
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[note]}"),
        )
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task(title, total=rows, note="starting")

    def __enter__(self) -> "RowBar":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: int, rows: int, rows_per_s: float | None, more: str = "") -> None:
        """Shows how far it is, how fast, how long it will take, and whatever else there is to say."""
        note = more
        if rows_per_s:
            minutes, seconds = divmod(round((rows - done) / rows_per_s), 60)
            note = ", ".join(part for part in (f"{rows_per_s:,.0f}/s", f"{minutes}:{seconds:02d} left", more) if part)
        self._bar.update(self._task, completed=done, total=rows, note=note)
        tenth = 10 * done // rows
        if not self._console.is_terminal and tenth > self._tenth:
            self._tenth = tenth
            self._console.print(f"{done}/{rows} {note}", highlight=False, soft_wrap=True)
