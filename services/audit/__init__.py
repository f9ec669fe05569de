"""Checks a dataset from its files alone. Shares no code with what made it: kinematics come straight from Pinocchio."""

from services.audit.audit import audit_dataset
from services.audit.findings import AuditReport, Check

__all__ = ["AuditReport", "Check", "audit_dataset"]
