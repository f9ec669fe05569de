"""Which motions the audit takes for straight lines, and how straight it wants them."""

from collections import Counter

import numpy as np
import pytest

from services.audit.findings import AuditReport
from services.audit.lines import check_lines
from services.audit.moments import straight_motions
from services.audit.pinocchio_model import Kinematics
from services.audit.row_check import read_rows
from services.synthesis.draw.identity import draw_identities
from tests.services.synthesis.examples import panda, shard


@pytest.mark.parametrize("name", ["lines", "places"])
def test_every_line_of_a_row_is_looked_at_once(name: str) -> None:
    request, made = shard(name)
    rows, families = read_rows(made.table, 7), made.table["family"].to_pylist()
    q, first, row = straight_motions(rows, families)
    drawn = draw_identities(request.families, request.seed, np.arange(request.count)).segments
    # Of a placing's six motions, down to the thing and up again, and so where it is put.
    lines = np.full(request.count, 4) if name == "places" else drawn
    assert Counter(row.tolist()) == dict(enumerate(lines.tolist()))
    # Each ends where it is at rest, before the next begins: none is a part of another.
    ends = q[first[1:] - 1]
    assert (np.linalg.norm(ends - q[first[:-1]], axis=1) > 0.01).all()
    report = AuditReport("", "")
    check_lines(report, Kinematics(panda().spec, panda().arm), rows, families)
    check = report.checks["lines are straight"]
    assert (check.checked, check.violations) == (len(q), 0)


@pytest.mark.parametrize(("factor", "found"), [(1 + 1e-4, False), (1 + 3e-3, True)])
def test_a_line_that_bends_by_less_than_a_millimetre_is_found(factor: float, found: bool) -> None:
    _, made = shard("lines")
    rows = read_rows(made.table.slice(0, 10).combine_chunks(), 7)
    # One joint goes a little farther than it did: the tool leaves its line by as much as that takes it.
    jerk = rows.lists["profile_jerk"].reshape(-1, 7, 7).copy()
    jerk[:, 1] *= factor
    rows.lists["profile_jerk"] = jerk.reshape(rows.lists["profile_jerk"].shape)
    report = AuditReport("", "")
    check_lines(report, Kinematics(panda().spec, panda().arm), rows, ["cartesian_line"] * 10)
    check = report.checks["lines are straight"]
    assert (check.violations > 0) == found
    assert check.worst < 1e-3
