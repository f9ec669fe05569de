"""LeRobot's calibration files: what the numbers of its motors are in radians.

    {"shoulder_pan": {"id": 1, "drive_mode": 0, "homing_offset": 116, "range_min": 741, "range_max": 3441}, ...}

A motor counts 4096 ticks a turn. What it reports is its position less its homing offset, so that this offset is in all
numbers already. Data sets have the ticks themselves, or -100 to 100 from range_min to range_max (the other way round by
drive_mode), or degrees from the middle of that range. The middle is taken to be the joint's zero, as LeRobot's degrees
have it; whether it is the arm's own, only its kinematics can say.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigError
from trainer.data.demonstrations.mapping.encodings import joint_positions
from trainer.data.demonstrations.mapping.mapping import Joints

FloatArray = NDArray[np.float64]

_TICKS = 4096
_KEYS = ("id", "drive_mode", "homing_offset", "range_min", "range_max")
_GRIPPER = "gripper"
_NORMALIZED = (-100.0, 100.0)
_ROUNDING = 0.01


@dataclass(frozen=True)
class Motor:
    """One motor of an arm.

    Attributes:
        name: of the joint that it moves.
        low: lowest tick that it was moved to when it was calibrated.
        high: highest.
        turned: whether LeRobot turns its direction round.
    """

    name: str
    low: int
    high: int
    turned: bool

    @property
    def half(self) -> float:
        """Half of its range [rad]."""
        return (self.high - self.low) * math.pi / _TICKS

    @property
    def middle(self) -> float:
        """Middle of its range [rad from tick 0]."""
        return (self.high + self.low) * math.pi / _TICKS


@dataclass(frozen=True)
class Calibration:
    """The arm's motors in the order of their ids, without the gripper's.

    Attributes:
        motors: of the arm.
        where: the file, for messages.
    """

    motors: tuple[Motor, ...]
    where: str

    def readings(self, columns: str, numbers: FloatArray) -> list[tuple[Joints, FloatArray]]:
        """The ways in which (n, dof) numbers can be those of these motors, and the joint positions [rad] by them.

        Raises ConfigError where they are of another number of joints.
        """
        if numbers.shape[1] != len(self.motors):
            names = ", ".join(motor.name for motor in self.motors)
            raise ConfigError(
                f"{self.where}: has {len(self.motors)} motors beside the gripper ({names}), '{columns}' has "
                f"{numbers.shape[1]} joints; give the calibration of the arm that was recorded"
            )
        low, high = numbers.min(axis=0), numbers.max(axis=0)
        found = []
        if (np.abs([low, high]) <= _NORMALIZED[1] + _ROUNDING).all():
            half = [motor.half for motor in self.motors]
            found.append(_joints(columns, [-one for one in half], half, _NORMALIZED))
        inside = [
            motor.low - 1 <= a and b <= motor.high + 1 for motor, a, b in zip(self.motors, low, high, strict=True)
        ]
        if all(inside):
            signs = [-1 if motor.turned else 1 for motor in self.motors]
            first = [-sign * motor.middle for sign, motor in zip(signs, self.motors, strict=True)]
            last = [at + sign * 2 * math.pi for sign, at in zip(signs, first, strict=True)]
            found.append(_joints(columns, first, last, (0.0, float(_TICKS))))
        return [(one, joint_positions(numbers, one)) for one in found]


def read_calibration(path: Path) -> Calibration:
    """A calibration file. Raises ConfigError where it is none, naming the motor and what is wrong."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: can't be read as a LeRobot calibration: {error}") from error
    if isinstance(content, Mapping) and "motor_names" in content:
        raise ConfigError(f"{path}: is a calibration of LeRobot before 0.2; calibrate the arm with a newer one")
    if not isinstance(content, Mapping) or not content:
        raise ConfigError(f"{path}: is no LeRobot calibration, which is an object of motors by their names")
    motors = sorted((_motor(name, entry, path) for name, entry in content.items()), key=lambda one: one[0])
    ids = [number for number, _ in motors]
    if len(set(ids)) < len(ids):
        raise ConfigError(f"{path}: has two motors of one id: {ids}")
    return Calibration(tuple(motor for _, motor in motors if motor.name != _GRIPPER), str(path))


def _motor(name: str, entry: Any, path: Path) -> tuple[int, Motor]:
    if not isinstance(entry, Mapping) or any(type(entry.get(key)) is not int for key in _KEYS):
        raise ConfigError(f"{path}: motor '{name}' needs the whole numbers {', '.join(_KEYS)}; it is {entry!r:.100}")
    low, high, mode = entry["range_min"], entry["range_max"], entry["drive_mode"]
    if not 0 <= low < high < _TICKS:
        raise ConfigError(
            f"{path}: motor '{name}' goes from {low} to {high}; range_min must be below range_max, within 0 to "
            f"{_TICKS - 1}, the ticks of a turn"
        )
    if mode not in (0, 1):
        raise ConfigError(f"{path}: motor '{name}' has drive_mode {mode}; it must be 0 or 1")
    return entry["id"], Motor(name, low, high, bool(mode))


def _joints(columns: str, low: Sequence[float], high: Sequence[float], numbers: tuple[float, float]) -> Joints:
    first, last = (tuple(round(value, 5) for value in end) for end in (low, high))
    return Joints(columns=columns, unit="normalized", low=first, high=last, normalized_range=numbers)
