"""Where recorded joints break the arm's limits.

Velocity, acceleration and jerk are differences from step to step. Each is a mean of the true one over the steps that it
is of, which is never greater than its greatest: what breaks a limit here, broke it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.demonstrations.proposal.chain import Chain

FloatArray = NDArray[np.float64]

_ORDER = ("position", "velocity", "acceleration", "jerk")
_TOLERANCE = {"position": 1e-3, "velocity": 1.0 + 1e-3, "acceleration": 1.0 + 1e-2, "jerk": 1.0 + 1e-2}
"""Beyond a position limit [rad or m], and times the others: files round."""


@dataclass(frozen=True, eq=False)
class KnownLimits:
    """An arm's limits, (dof,) each [rad, rad/s, rad/s^2, rad/s^3, or in m]; None where they are not known."""

    lower: FloatArray
    upper: FloatArray
    velocity: FloatArray | None = None
    acceleration: FloatArray | None = None
    jerk: FloatArray | None = None

    @classmethod
    def of_chain(cls, chain: Chain) -> "KnownLimits":
        """The limits that a URDF states: positions, and velocities where it has them."""
        return cls(chain.lower, chain.upper, chain.velocity if np.isfinite(chain.velocity).any() else None)

    @classmethod
    def of_robot(cls, robot: Mapping[str, Any]) -> "KnownLimits":
        """The limits of a robot as the service describes it (RobotSpec.to_json)."""
        return cls(**{name: np.array(values, np.float64) for name, values in robot["limits"].items()})

    @property
    def unknown(self) -> list[str]:
        """Names of those that are not known."""
        return [name for name in _ORDER[1:] if getattr(self, name) is None]


@dataclass(frozen=True)
class Break:
    """Where a limit is broken.

    Attributes:
        kind: position, velocity, acceleration or jerk.
        steps: how many steps are beyond it, in any joint.
        episodes: in how many episodes.
        joint: the joint that is furthest beyond it, from 1.
        value: there, in rad or m, a second as often as the kind says.
        limit: of it.
        episode: where.
        step: likewise.
    """

    kind: str
    steps: int
    episodes: int
    joint: int
    value: float
    limit: float
    episode: str
    step: int


def limit_breaks(
    names: Sequence[str], joints: Sequence[FloatArray], rate_hz: float, limits: KnownLimits
) -> list[Break]:
    """The limits that joint positions (T, dof) of some episodes break, in the order of their derivatives."""
    found = []
    for order, kind in enumerate(_ORDER):
        if kind in limits.unknown:
            continue
        worst, steps, episodes, most = None, 0, 0, 0.0
        for name, positions in zip(names, joints, strict=True):
            values = np.diff(positions, n=order, axis=0) * rate_hz**order
            beyond, edge = _beyond(values, kind, limits)
            if not len(values) or not (broken := (beyond > 0).any(axis=1)).any():
                continue
            steps, episodes = steps + int(broken.sum()), episodes + 1
            step, joint = divmod(int(np.argmax(beyond)), beyond.shape[1])
            if beyond[step, joint] > most:
                most = float(beyond[step, joint])
                worst = joint + 1, float(values[step, joint]), float(edge[step, joint]), name, step
        if worst is not None:
            found.append(Break(kind, steps, episodes, *worst))
    return found


def _beyond(values: FloatArray, kind: str, limits: KnownLimits) -> tuple[FloatArray, FloatArray]:
    """How far (n, dof) values are beyond their limit, and the limit that each is nearest to; at most 0 inside."""
    if kind == "position":
        above, below = values - limits.upper, limits.lower - values
        edge = np.where(above > below, limits.upper, limits.lower)
        return np.maximum(above, below) - _TOLERANCE[kind], edge
    limit = np.broadcast_to(getattr(limits, kind), values.shape)
    return np.abs(values) / limit - _TOLERANCE[kind], limit
