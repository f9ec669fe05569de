"""Look at a dataset: one self-contained HTML page, and how far it is from demonstrations."""

import argparse
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from shared.dataset import Dataset
from shared.errors import ConfigError
from shared.summary_file import read_summary, stored_summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("dataset", help="directory of the dataset, or its URI (s3://...); it may still be growing")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="SUMMARY",
        help="demonstrations that `python -m trainer summarize` summarized (default: those it is fitted to, if any)",
    )
    parser.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE", help="default: report.html")
    parser.add_argument("--rows", type=int, metavar="N", help="read about N rows (default: 20,000)")


def run(options: argparse.Namespace) -> int:
    """Writes the page. Raises HeadstartError."""
    # Here: Matplotlib takes a second to import, which no other command needs.
    from services.report.report import ROWS, make_report

    rows = ROWS if options.rows is None else options.rows
    if rows < 1:
        raise ConfigError(f"--rows {rows}: at least 1 row is needed")
    began, dataset = time.monotonic(), Dataset(options.dataset)
    summary = stored_summary(dataset) if options.against is None else read_summary(options.against)
    console = Console(stderr=True)
    columns = (TextColumn("report"), BarColumn(), TextColumn("{task.completed:,} rows"))
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("report", total=min(rows, dataset.header.count))
        report = make_report(dataset, summary, rows, lambda read: bar.update(task, completed=read))
    try:
        options.out.write_text(report.html())
    except OSError as error:
        raise ConfigError(f"{options.out} can't be written: {error.strerror}; give another file with --out") from None
    if report.comparison is not None:
        print(report.comparison.says)
    print(f"{options.out}: {report.rows:,} rows looked at in {time.monotonic() - began:.1f} s")
    return 0
