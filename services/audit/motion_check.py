"""Checks of a motion against the robot's limits, from its samples: beyond what float32 rounds, nothing may leave them.

Between two samples a time h apart, velocity v, acceleration a and jerk j bound what the samples can do:
|q1 - q0| <= h v, |qd1 - qd0| <= h a, |qd2 - 2 qd1 + qd0| <= h^2 j, and the trapezoid rule misses q1 - q0 by at most
h^2 a / 4 (its integrand has slope a) and by at most h^3 j / 12.
"""

import numpy as np
from numpy.typing import NDArray

from services.audit.claims import Claims
from services.audit.findings import AuditReport
from services.audit.moments import Moments
from services.audit.row_check import Rows
from shared.manifest import Ranges
from shared.robots import JointLimits

FloatArray = NDArray[np.float64]

_ULP = 2.0**-23
"""Relative spacing of float32; rounding is off by half of it."""


def keeps_limits(limits: JointLimits, moments: Moments, rows: int) -> NDArray[np.bool_]:
    """Which rows keep the limits of position and velocity at every moment, but for rounding, shape (rows,)."""
    q, qd = moments.q, moments.qd
    slack = 1e-3 * (limits.upper - limits.lower)
    kept = (q >= limits.lower - slack) & (q <= limits.upper + slack) & (np.abs(qd) <= 1.001 * limits.velocity)
    return np.asarray(np.bincount(moments.row, ~kept.all(1), rows) == 0)


def check_samples(report: AuditReport, limits: JointLimits, ranges: Ranges, rows: Rows) -> None:
    """Limits at the samples, ranges, the gripper's values, and rest at the goal."""
    ids = rows.sample_ids
    q, qd = (rows.lists[name].astype(np.float64) for name in ("joint_position", "joint_velocity"))
    rounding = _ULP * np.maximum(np.abs(limits.lower), np.abs(limits.upper))
    report.measure("position limits", np.maximum(limits.lower - q, q - limits.upper), rounding, "rad or m", ids)
    report.measure("velocity limits", np.abs(qd) - limits.velocity, _ULP * limits.velocity, "rad/s", ids)
    if "joint_acceleration" in rows.lists:
        qdd = rows.lists["joint_acceleration"].astype(np.float64)
        excess = np.abs(qdd) - limits.acceleration
        report.measure("acceleration limits", excess, _ULP * limits.acceleration, "rad/s^2", ids)
    gripper = rows.lists["gripper"][:, 0]
    report.measure("gripper is +1 or -1", np.abs(np.abs(gripper) - 1), 0.0, "", ids)
    position = rows.lists["ee_position"].astype(np.float64)
    box = ranges["position"]
    outside = np.maximum(np.subtract(box["min"], position), np.subtract(position, box["max"]))
    report.measure("positions in action_range", outside, _ULP * np.max(np.abs([box["min"], box["max"]])), "m", ids)
    # The last sample is at the goal or past it.
    last = rows.first[1:] - 1
    report.measure("at rest at the end", np.abs(qd[last]), 1e-6, "rad/s", rows.ids)


def check_tool(report: AuditReport, claims: Claims, rows: Rows) -> None:
    """That the tool centre point is in no keep-out."""
    position = rows.lists["ee_position"].astype(np.float64)
    for solid in claims.keep_out:
        rounding = _ULP * float(np.abs(position).max(initial=1.0))
        report.measure("tool in keep-outs", solid.depth(position), rounding, "m", rows.sample_ids)


def check_continuity(report: AuditReport, limits: JointLimits, rows: Rows) -> None:
    """Limits between samples, and that velocities are what positions do."""
    row = rows.sample_row
    q, qd = (rows.lists[name].astype(np.float64) for name in ("joint_position", "joint_velocity"))
    same = row[1:] == row[:-1]
    ids = rows.sample_ids[1:][same]
    h = 1 / rows.rate_hz[row[1:]][same][:, None]
    step, change = np.diff(q, axis=0)[same], np.diff(qd, axis=0)[same]
    q_rounding = _ULP * np.maximum(np.abs(limits.lower), np.abs(limits.upper))
    v_rounding = _ULP * limits.velocity
    report.measure("velocity between samples", np.abs(step) - h * limits.velocity, q_rounding, "rad or m", ids)
    report.measure("acceleration between samples", np.abs(change) - h * limits.acceleration, v_rounding, "rad/s", ids)
    miss = np.abs(step - h / 2 * (qd[1:] + qd[:-1])[same])
    allowed = np.minimum(h**2 * limits.acceleration / 4, h**3 * limits.jerk / 12)
    report.measure("velocity is the slope of position", miss - allowed, q_rounding + h * v_rounding, "rad or m", ids)
    inner = row[2:] == row[:-2]
    bend = np.abs(qd[2:] - 2 * qd[1:-1] + qd[:-2])[inner]
    h = 1 / rows.rate_hz[row[2:]][inner][:, None]
    report.measure(
        "jerk between samples", bend - h**2 * limits.jerk, 2 * v_rounding, "rad/s", rows.sample_ids[2:][inner]
    )
