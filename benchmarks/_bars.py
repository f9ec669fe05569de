"""What a benchmark's figures must be."""

import json
import operator
from collections.abc import Mapping
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


def conclude(report: Mapping[str, Any], bars: Mapping[str, Bar]) -> int:
    """Judges the report and prints it on the last line. Returns the exit status."""
    passed = judge(report, bars)
    print(json.dumps(report))
    return 0 if passed else 1
