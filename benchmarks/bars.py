"""What a benchmark's figures must be."""

import json
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Bar = tuple[str, float]
"""A comparison and a number."""
_COMPARISONS = {"<": operator.lt, "<=": operator.le, "==": operator.eq, ">=": operator.ge}


def judge(report: Mapping[str, Any], bars: Mapping[str, Bar]) -> bool:
    """Whether every figure of `report` that has a bar meets it; prints PASS or FAIL for each."""
    passed = True
    for name, (comparison, bar) in bars.items():
        meets = bool(_COMPARISONS[comparison](report[name], bar))
        passed = passed and meets
        print(f"{'PASS' if meets else 'FAIL'} {name} {report[name]} {comparison} {bar:g}")
    return passed


def conclude(report: Mapping[str, Any], bars: Mapping[str, Bar], out: Path | None = None) -> int:
    """Judges, writes the report to `out`, and prints it on the last line. Returns the exit status."""
    passed = judge(report, bars)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))
    return 0 if passed else 1
