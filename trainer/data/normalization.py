"""Normalization of actions and joints by a fixed range, chosen in Stage 1 and reused unchanged in Stage 2."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigError
from trainer.config import ActionName
from trainer.data.action import POSE_DIM, POSITION, RANGE_TOLERANCE, ActionRange
from trainer.data.relative_actions import RANGE_NAMES

_AXES = ("x", "y", "z")


class Range:
    """Min-max to [-1, 1] for each component.

    Attributes:
        low, high: float64, shape (n,).
        center, half: of the range and of its width, float32.
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
        self.center = ((self.low + self.high) / 2).astype(np.float32)
        self.half = ((self.high - self.low) / 2).astype(np.float32)

    def normalize(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """(..., n) in metres or radians to [-1, 1]."""
        normalized = values - self.center
        # In place: shards are decoded at the speed of memory.
        normalized /= self.half
        return np.asarray(normalized, np.float32)

    def denormalize(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """(..., n) in [-1, 1] to metres or radians."""
        return np.asarray(values * self.half + self.center, np.float32)

    def to_json(self) -> dict[str, list[float]]:
        """{"min": [n], "max": [n]}."""
        return {"min": self.low.tolist(), "max": self.high.tolist()}


class ActionNormalizer:
    """Positions and joints by their range; rotations and grippers are in [-1, 1] as they are.

    Attributes:
        action: what its actions are.
        action_dim: numbers in one of them.
        position: range of ee positions [m]; `ee_pose` actions need it.
        joint_position: range of joints [rad or m]; `joint_position` actions need it.
        relative: whether the actions are relative to a state (data/relative_actions.py), and have a range of their own.
    """

    def __init__(self, action_range: ActionRange, action: ActionName = "ee_pose", *, relative: bool = False) -> None:
        """Raises ConfigError where the range that the action needs is missing, or one makes no sense."""
        if not isinstance(action_range, Mapping):
            raise ConfigError(f"action_range needs to be an object with 'position', got {action_range!r}")
        self.action = action
        self.position = _read_range(action_range, "position")
        self.joint_position = _read_range(action_range, "joint_position")
        self.relative = relative
        self._relative_ranges = {name: _read_range(action_range, name) for name in RANGE_NAMES.values()}
        if self.position is not None and self.position.low.size != 3:
            raise ConfigError(f"action_range 'position' needs three minima, got {self.position.low.tolist()}")
        if action == "joint_position":
            self._range, self._unit = self._joint_range, "rad"
            self._axes = tuple(f"joint {index + 1}" for index in range(self._range.low.size))
            self.action_dim = self._range.low.size + 1
        else:
            self._range, self._unit, self._axes, self.action_dim = self._position_range, "m", _AXES, POSE_DIM
        if relative:
            self._range = self._relative_range(action_range)
            self._axes = tuple(f"relative {axis}" for axis in self._axes)

    def of_relative(self) -> "ActionNormalizer":
        """The normalizer of the same actions relative to a state. Raises ConfigError where their range is missing."""
        return ActionNormalizer(self.to_json(), self.action, relative=True)

    def normalize(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., action_dim) actions in metres or radians to normalized ones, as a new array."""
        return self._scaled(actions, self._range.normalize)

    def denormalize(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., action_dim) normalized actions to metres or radians, as a new array."""
        return self._scaled(actions, self._range.denormalize)

    def affine(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Center and scale, (action_dim,) each: action = normalized * scale + center."""
        center, scale = np.zeros(self.action_dim, np.float32), np.ones(self.action_dim, np.float32)
        center[: len(self._axes)], scale[: len(self._axes)] = self._range.center, self._range.half
        return center, scale

    def check(self, actions: NDArray[np.float32], what: str) -> None:
        """Raises ConfigError where actions (..., action_dim) leave the range, with the dimension and the numbers.

        What lies outside could not be predicted at all: samples are clipped to [-1, 1].
        """
        if actions.shape[-1] != self.action_dim:
            raise ConfigError(
                f"{what} have actions of {actions.shape[-1]} numbers, '{self.action}' actions have {self.action_dim}"
            )
        if not np.isfinite(actions).all():
            raise ConfigError(f"{what} hold actions that are not finite")
        bad = self.outside(actions)
        if bad:
            in_radians = self._unit == "rad"
            meant = "joints are in radians" if in_radians else "positions are in metres in the robot's base frame"
            raise ConfigError(
                f"{what} leave action_range: {'; '.join(bad)}. Pretrain with a wider range (--action-range), leave the "
                f"episodes out that leave it (--drop-outside), or check that {meant}"
            )

    def outside(self, actions: NDArray[np.float32]) -> list[str]:
        """Each dimension in which actions (..., action_dim) leave the range by more than RANGE_TOLERANCE, in words."""
        values, allowed, unit = actions[..., : len(self._axes)].reshape(-1, len(self._axes)), self._range, self._unit
        low, high = values.min(0), values.max(0)
        return [
            f"{axis} is {low[i]:.4f} to {high[i]:.4f} {unit}, the range {allowed.low[i]:.4f} to {allowed.high[i]:.4f} "
            f"{unit}"
            for i, axis in enumerate(self._axes)
            if low[i] < allowed.low[i] - RANGE_TOLERANCE or high[i] > allowed.high[i] + RANGE_TOLERANCE
        ]

    def contains(self, actions: NDArray[np.float32]) -> bool:
        """Whether actions (..., action_dim) lie in the range, to RANGE_TOLERANCE."""
        values = actions[..., : len(self._axes)].reshape(-1, len(self._axes))
        low, high = self._range.low - RANGE_TOLERANCE, self._range.high + RANGE_TOLERANCE
        return bool(((values >= low) & (values <= high)).all())

    def normalize_poses(self, poses: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., 10) `ee_pose` actions to normalized ones, or (..., 9) poses alone.

        Raises ConfigError where their range is missing.
        """
        normalized = poses.copy()
        normalized[..., POSITION] = self._position_range.normalize(poses[..., POSITION])
        return normalized

    def normalize_joints(self, joints: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., dof) joint positions to [-1, 1] by their limits. Raises ConfigError where their range is missing."""
        return self._joint_range.normalize(joints)

    def to_json(self) -> dict[str, dict[str, list[float]]]:
        """The action_range, which makes an equal normalizer."""
        ranges: dict[str, Range | None] = {"position": self.position, "joint_position": self.joint_position}
        return {name: entry.to_json() for name, entry in (ranges | self._relative_ranges).items() if entry is not None}

    def _relative_range(self, action_range: ActionRange) -> Range:
        name = RANGE_NAMES[self.action]
        found = self._relative_ranges[name]
        if found is None or found.low.shape != self._range.low.shape:
            raise ConfigError(
                f"action_range has no '{name}' of {len(self._axes)} numbers, which relative actions need; it has "
                f"{sorted(action_range)}"
            )
        return found

    @property
    def _position_range(self) -> Range:
        if self.position is None:
            raise ConfigError(
                "action_range has no 'position'; take dataset.json's, or give one with --action-range FILE as "
                '{"position": {"min": [x, y, z], "max": [x, y, z]}}'
            )
        return self.position

    @property
    def _joint_range(self) -> Range:
        if self.joint_position is None:
            raise ConfigError(
                "action_range has no 'joint_position', which joint actions and Stage 1's joint condition need; take "
                "dataset.json's, or give one with --action-range FILE as "
                '{"joint_position": {"min": [...], "max": [...]}}'
            )
        return self.joint_position

    def _scaled(
        self, actions: NDArray[np.float32], scale: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        scaled, size = actions.copy(), len(self._axes)
        scaled[..., :size] = scale(actions[..., :size])
        return scaled


def _read_range(action_range: ActionRange, name: str) -> Range | None:
    if name not in action_range:
        return None
    entry = action_range[name]
    if not isinstance(entry, Mapping):
        raise ConfigError(f"action_range '{name}' needs 'min' and 'max', got {entry!r}")
    if not {"min", "max"} <= set(entry):
        raise ConfigError(f"action_range '{name}' needs 'min' and 'max', got {sorted(entry)}")
    return Range(entry["min"], entry["max"], name)
