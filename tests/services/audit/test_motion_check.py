"""What samples may do between each other, on rows of one joint that do as much and a little more."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.audit.findings import AuditReport
from services.audit.motion_check import check_continuity
from services.audit.row_check import Rows
from shared.robots import JointLimits

H = 0.1
LIMITS = JointLimits(np.array([-9.0]), np.array([9.0]), np.array([2.0]), np.array([6.0]), np.array([20.0]))


def _rows(q: list[list[float]], qd: list[list[float]]) -> Rows:
    lists: dict[str, NDArray[Any]] = {
        name: np.array(values, np.float64).reshape(-1, 1)
        for name, values in (("joint_position", q), ("joint_velocity", qd))
    }
    n, first = len(q), np.concatenate([[0], np.cumsum([len(row) for row in q])])
    return Rows(np.arange(n), first, np.ones(n), np.full(n, 1 / H), lists, None)


@pytest.mark.parametrize("share", [0.99, 1.01])
@pytest.mark.parametrize(
    ("name", "q", "qd"),
    [
        ("velocity between samples", [0, 2.0 * H, 4.0 * H], [2, 2, 2]),
        ("acceleration between samples", [0, 0.03, 0.12], [0, 6.0 * H, 12.0 * H]),
        # A bend of h^2 J, as of a jerk that is as great as it may be for h before the sample and for h after it.
        ("jerk between samples", [0, 0, 0], [0, 20.0 * H**2 / 2, 0]),
        # As of an acceleration that goes from 0 up by J in the first half of h, which is within h^3 J / 12.
        ("velocity is the slope of position", [0, 20.0 * H**3 / 12, 20.0 * H**3 / 12], [0, 0, 0]),
    ],
)
def test_what_limits_allow_between_samples_passes_and_more_is_found(
    name: str, q: list[float], qd: list[float], share: float
) -> None:
    report = AuditReport("", "")
    check_continuity(report, LIMITS, _rows([[share * x for x in q]], [[share * x for x in qd]]))
    assert (report.checks[name].violations > 0) == (share > 1)


def test_from_row_to_row_nothing_is_compared() -> None:
    report = AuditReport("", "")
    check_continuity(report, LIMITS, _rows([[0, 0], [5, 5], [-5, -5]], [[0, 0], [1e-9, 1e-9], [0, 0]]))
    assert report.violations == 0
    assert report.checks["jerk between samples"].checked == 0
    assert report.checks["velocity between samples"].checked == 3
