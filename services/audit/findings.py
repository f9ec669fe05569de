"""What an audit found: for each check how much was looked at, how much of it was wrong, and how wrong at worst."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class Check:
    """One thing that is checked.

    Attributes:
        name: what.
        unit: of the residual.
        checked: values looked at.
        violations: of them beyond the tolerance.
        worst: greatest residual; infinite for a NaN, minus infinity if none was measured. What stays below a limit is
            negative: the distance kept.
        tolerance: greatest residual allowed.
        example: where the first violation is.
    """

    name: str
    unit: str
    checked: int = 0
    violations: int = 0
    worst: float = -math.inf
    tolerance: float = 0.0
    example: str = ""


@dataclass
class AuditReport:
    """Everything an audit found.

    Attributes:
        dataset_id: of the dataset.
        state: of the dataset.
        shards: that were looked at.
        rows: likewise.
        rows_in_motion: rows whose samples were looked at; fewer than `rows` if sampled.
        samples: time steps of those rows.
        seconds: that it took.
        between_samples: where collisions were looked for between samples, and at which rates that is exact.
        checks: in the order in which they were first made.
    """

    dataset_id: str
    state: str
    shards: int = 0
    rows: int = 0
    rows_in_motion: int = 0
    samples: int = 0
    seconds: float = 0.0
    between_samples: str = ""
    checks: dict[str, Check] = field(default_factory=dict)

    @property
    def violations(self) -> int:
        """Over all checks."""
        return sum(check.violations for check in self.checks.values())

    def expect(self, name: str, holds: bool, where: str) -> None:
        """Records something that is right or wrong."""
        check = self.checks.setdefault(name, Check(name, ""))
        check.checked += 1
        if not holds:
            self._violate(check, 1, where)

    def measure(
        self,
        name: str,
        residual: NDArray[Any],
        tolerance: NDArray[np.float64] | float,
        unit: str,
        trajectory_ids: NDArray[np.int64],
    ) -> None:
        """Records residuals.

        Args:
            name: of the check.
            residual: how far each value is off, shape (n, ...). What is not finite is a violation.
            tolerance: greatest one allowed; broadcasts.
            unit: of both.
            trajectory_ids: to which each belongs, shape (n,).
        """
        check = self.checks.setdefault(name, Check(name, unit))
        check.checked += residual.size
        check.tolerance = max(check.tolerance, float(np.max(tolerance)))
        if not residual.size:
            return
        worst = float(residual.max())
        check.worst = max(check.worst, worst if np.isfinite(worst) else np.inf)
        bad = ~(residual <= tolerance)
        if bad.any():
            first = int(np.flatnonzero(bad.reshape(len(bad), -1).any(1))[0])
            self._violate(check, int(np.count_nonzero(bad)), f"trajectory {trajectory_ids[first]}")

    def add(self, other: "AuditReport") -> None:
        """Adds what was found in another part of the dataset."""
        for name in ("shards", "rows", "rows_in_motion", "samples"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.between_samples = self.between_samples or other.between_samples
        for name, found in other.checks.items():
            check = self.checks.setdefault(name, Check(name, found.unit))
            check.checked += found.checked
            check.worst = max(check.worst, found.worst)
            check.tolerance = max(check.tolerance, found.tolerance)
            if found.violations:
                self._violate(check, found.violations, found.example)

    def to_json(self) -> dict[str, Any]:
        """As one JSON object; a residual that is not finite is null."""
        checks = [
            {**asdict(check), "worst": check.worst if np.isfinite(check.worst) else None}
            for check in self.checks.values()
        ]
        return {**asdict(self), "checks": checks, "violations": self.violations}

    @staticmethod
    def _violate(check: Check, count: int, where: str) -> None:
        check.violations += count
        check.example = check.example or where
