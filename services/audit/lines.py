"""Whether the motions that are to be straight lines of the tool are straight, on the stored profiles."""

import numpy as np

from services.audit.findings import AuditReport
from services.audit.moments import straight_motions
from services.audit.pinocchio_model import Kinematics
from services.audit.row_check import Rows

TOLERANCE = 1e-4 + 2e-6
"""How far the tool may be from the line between a motion's ends [m]: as documented, and what float32 ends round."""

LINES = frozenset({"cartesian_line", "pick_and_place"})
"""The families that have such motions."""


def check_lines(report: AuditReport, kinematics: Kinematics, rows: Rows, families: list[str]) -> None:
    """Checks rows that have profile columns, each of the family of its name."""
    if not LINES.intersection(families):
        return
    q, first, row = straight_motions(rows, families)
    if not len(row):
        return
    position = kinematics.tool_poses(kinematics.frames(q))[1].T
    of = np.repeat(np.arange(len(row)), np.diff(first))
    begin, end = position[first[:-1]][of], position[first[1:] - 1][of]
    along = end - begin
    share = ((position - begin) * along).sum(1) / np.maximum((along * along).sum(1), 1e-12)
    off = position - begin - np.clip(share, 0, 1)[:, None] * along
    report.measure("lines are straight", np.sqrt((off * off).sum(1)), TOLERANCE, "m", rows.ids[row][of])
