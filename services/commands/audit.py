"""Check a dataset from its files alone: hashes, ids, joint limits, continuity, forward kinematics, collisions."""

import argparse
import json
import os

from rich.console import Console

from services.audit import AuditReport, audit_dataset
from services.commands.row_bar import RowBar
from shared.dataset import Dataset
from shared.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("dataset", help="directory of the dataset, or its URI (s3://...)")
    parser.add_argument("--sample", type=int, metavar="N", help="look closely at N rows (default: at all)")
    parser.add_argument("--workers", type=int, metavar="N", help="shards at once (default: one for each core)")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Audits. Returns 1 if anything is wrong, 130 after Ctrl-C. Raises HeadstartError if there is nothing to audit."""
    for name in ("sample", "workers"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name} {value}: at least 1 is needed")
    dataset = Dataset(options.dataset)
    totals = dataset.totals()
    rows = totals.rows
    workers = options.workers or min(len(os.sched_getaffinity(0)), max(totals.commits, 1))
    console = Console(stderr=True)
    try:
        with RowBar(console, "audit", max(rows, 1)) as bar:

            def show(report: AuditReport) -> None:
                wrong = f"{report.violations:,} violations" if report.violations else ""
                bar.show(report.rows, rows, report.rows / max(report.seconds, 1e-6), wrong)

            report = audit_dataset(dataset, options.sample, workers, show)
    except KeyboardInterrupt:
        console.print("stopped before the end: nothing can be said of the dataset")
        return 130
    print(json.dumps(report.to_json()) if options.json else _text(report, dataset))
    return 1 if report.violations else 0


def _text(report: AuditReport, dataset: Dataset) -> str:
    lines = [f"{'check':44} {'checked':>14} {'violations':>10} {'worst':>10} {'allowed':>9}"]
    for check in report.checks.values():
        residual = f"{check.worst:10.2e} {check.tolerance:9.1e} {check.unit}" if check.unit else ""
        where = f"  <- {check.example}" if check.violations else ""
        lines.append(f"{check.name:44} {check.checked:14,} {check.violations:10,} {residual}{where}")
    looked = f"{report.samples:,} samples of {report.rows_in_motion:,} rows in {report.seconds:.1f} s"
    shards = f"{report.state}: {report.shards} of {dataset.header.shards} shards, {report.rows:,} rows"
    lines += [report.between_samples] if report.between_samples else []
    lines.append(f"{shards}; looked at {looked}: {report.violations:,} violations")
    return "\n".join(lines)
