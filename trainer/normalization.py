"""Normalization of actions and joints by a fixed range, chosen in Stage 1 and reused unchanged in Stage 2."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigError
from trainer.action import POSITION, ActionRange

_AXES = ("x", "y", "z")
# float32 rounding of a value that lies on the range's edge.
_TOLERANCE = 1e-5


class Range:
    """Min-max to [-1, 1] for each component.

    Attributes:
        low, high: float64, shape (n,).
    """

    def __init__(self, low: Sequence[float], high: Sequence[float], name: str) -> None:
        """Raises ConfigError where they are not numbers or `high` is not above `low`, naming `name`."""
        try:
            self.low, self.high = np.asarray(low, np.float64), np.asarray(high, np.float64)
        except (ValueError, TypeError, OverflowError) as error:
            raise ConfigError(f"action_range '{name}' needs lists of numbers, got {low!r} and {high!r}") from error
        if self.low.ndim != 1 or self.low.shape != self.high.shape:
            raise ConfigError(f"action_range '{name}' needs as many minima as maxima, got {low} and {high}")
        if not (np.isfinite(self.low).all() and np.isfinite(self.high).all() and (self.low < self.high).all()):
            raise ConfigError(f"action_range '{name}' needs finite minima below its maxima, got {low} and {high}")
        self._center = ((self.low + self.high) / 2).astype(np.float32)
        self._half = ((self.high - self.low) / 2).astype(np.float32)

    def normalize(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """(..., n) in metres or radians to [-1, 1]."""
        return np.asarray((values - self._center) / self._half, np.float32)

    def denormalize(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """(..., n) in [-1, 1] to metres or radians."""
        return np.asarray(values * self._half + self._center, np.float32)

    def to_json(self) -> dict[str, list[float]]:
        """{"min": [n], "max": [n]}."""
        return {"min": self.low.tolist(), "max": self.high.tolist()}


class ActionNormalizer:
    """Positions by their range; rotations and grippers are in [-1, 1] as they are.

    Attributes:
        position: range of ee positions [m].
        joint_position: range of joints [rad or m], where the data has joints.
    """

    def __init__(self, action_range: ActionRange) -> None:
        """Raises ConfigError where the position's range is missing or makes no sense."""
        if not isinstance(action_range, Mapping):
            raise ConfigError(f"action_range needs to be an object with 'position', got {action_range!r}")
        if "position" not in action_range:
            raise ConfigError(
                "action_range has no 'position'; take dataset.json's, or give one with --action-range FILE as "
                '{"position": {"min": [x, y, z], "max": [x, y, z]}}'
            )
        self.position = _read_range(action_range, "position")
        self.joint_position = _read_range(action_range, "joint_position") if "joint_position" in action_range else None
        if self.position.low.size != 3:
            raise ConfigError(f"action_range 'position' needs three minima, got {self.position.low.tolist()}")

    def normalize(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., 10) actions in metres to normalized ones, as a new array."""
        normalized = actions.copy()
        normalized[..., POSITION] = self.position.normalize(actions[..., POSITION])
        return normalized

    def denormalize(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., 10) normalized actions to metres, as a new array."""
        metres = actions.copy()
        metres[..., POSITION] = self.position.denormalize(actions[..., POSITION])
        return metres

    def check(self, actions: NDArray[np.float32], what: str) -> None:
        """Raises ConfigError where actions (..., 10) leave the range, with the dimension and the numbers.

        A position outside could not be predicted at all: samples are clipped to [-1, 1].
        """
        positions = actions[..., POSITION].reshape(-1, 3)
        if not np.isfinite(actions).all():
            raise ConfigError(f"{what} hold actions that are not finite")
        low, high = positions.min(0), positions.max(0)
        bad = [
            f"{axis} is {low[i]:.4f} to {high[i]:.4f} m, the range {self.position.low[i]:.4f} to "
            f"{self.position.high[i]:.4f} m"
            for i, axis in enumerate(_AXES)
            if low[i] < self.position.low[i] - _TOLERANCE or high[i] > self.position.high[i] + _TOLERANCE
        ]
        if bad:
            raise ConfigError(
                f"{what} leave action_range: {'; '.join(bad)}. Pretrain with a wider range (--action-range), or "
                "check that positions are in metres in the robot's base frame"
            )

    def normalize_joints(self, joints: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., dof) joint positions to [-1, 1] by their limits. Raises ConfigError where their range is missing."""
        if self.joint_position is None:
            raise ConfigError("action_range has no 'joint_position', which Stage 1's condition needs")
        return self.joint_position.normalize(joints)

    def to_json(self) -> dict[str, dict[str, list[float]]]:
        """The action_range, which makes an equal normalizer."""
        ranges = {"position": self.position.to_json()}
        if self.joint_position is not None:
            ranges["joint_position"] = self.joint_position.to_json()
        return ranges


def _read_range(action_range: Mapping[str, Mapping[str, Sequence[float]]], name: str) -> Range:
    entry = action_range[name]
    if not isinstance(entry, Mapping):
        raise ConfigError(f"action_range '{name}' needs 'min' and 'max', got {entry!r}")
    if not {"min", "max"} <= set(entry):
        raise ConfigError(f"action_range '{name}' needs 'min' and 'max', got {sorted(entry)}")
    return Range(entry["min"], entry["max"], name)
