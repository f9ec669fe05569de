"""Check a dataset from its files alone: hashes, ids, joint limits, continuity, forward kinematics."""

import argparse
import json

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from services.audit import AuditReport, audit_dataset
from shared.dataset import Dataset
from shared.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("dataset", help="directory of the dataset, or its URI (s3://...)")
    parser.add_argument("--sample", type=int, metavar="N", help="look closely at N rows (default: at all)")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Audits. Returns 1 if anything is wrong. Raises HeadstartError if there is nothing to audit."""
    if options.sample is not None and options.sample < 1:
        raise ConfigError(f"--sample {options.sample}: at least 1 row is needed")
    dataset = Dataset(options.dataset)
    columns = (
        TextColumn("audit"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} shards"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("audit", total=len(dataset.commits()))
        report = audit_dataset(dataset, options.sample, lambda report: bar.update(task, completed=report.shards))
    print(json.dumps(report.to_json()) if options.json else _text(report, dataset))
    return 1 if report.violations else 0


def _text(report: AuditReport, dataset: Dataset) -> str:
    lines = [f"{'check':44} {'checked':>12} {'violations':>10} {'worst':>10} {'allowed':>9}"]
    for check in report.checks.values():
        residual = f"{check.worst:10.2e} {check.tolerance:9.1e} {check.unit}" if check.unit else ""
        where = f"  <- {check.example}" if check.violations else ""
        lines.append(f"{check.name:44} {check.checked:12,} {check.violations:10,} {residual}{where}")
    looked = f"{report.samples:,} samples of {report.rows_in_motion:,} rows in {report.seconds:.1f} s"
    shards = f"{report.state}: {report.shards} of {dataset.header.shards} shards, {report.rows:,} rows"
    lines.append(f"{shards}; looked at {looked}: {report.violations:,} violations")
    return "\n".join(lines)
