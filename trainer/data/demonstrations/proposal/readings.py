"""The ways in which the numbers of a position, a rotation or of joints can be read."""

import itertools

import numpy as np
from numpy.typing import NDArray

from trainer.data.demonstrations.mapping.encodings import joint_positions, matrices
from trainer.data.demonstrations.mapping.mapping import Joints, Position, Rotation
from trainer.data.demonstrations.proposal.calibration import Calibration
from trainer.data.demonstrations.proposal.chain import Chain

FloatArray = NDArray[np.float64]

SCALES = (1.0, 0.01, 0.001)
"""Metres for a unit: metres, centimetres, millimetres."""
# Half of the positions of a tool lie this far from the origin of its frame [m], and all of them spread by this.
_NEAREST, _FARTHEST, _LEAST_SPREAD = 0.05, 3.0, 0.02
_AXES = [
    letters
    for small in itertools.product("xyz", repeat=3)
    if small[0] != small[1] != small[2]
    for letters in ("".join(small), "".join(small).upper())
]
# A little beyond a limit: calibrations.
_BEYOND = 0.1
_INSIDE = 0.99


def position_readings(columns: str, numbers: FloatArray) -> list[tuple[Position, FloatArray]]:
    """Units in which (n, 3) numbers can be where an arm's tool is, and the positions [m] by them."""
    found = []
    for scale in SCALES:
        metres = numbers * scale
        away = float(np.median(np.linalg.norm(metres, axis=1)))
        if _NEAREST < away < _FARTHEST and np.ptp(metres, axis=0).max() > _LEAST_SPREAD:
            found.append((Position(columns=columns, scale=scale), metres))
    return found


def rotation_readings(columns: str, numbers: FloatArray) -> list[tuple[Rotation, FloatArray]]:
    """Encodings that (n, width) numbers can be, and the rotations (n, 3, 3) by them."""
    found = []
    for reading in _encodings(columns, numbers.shape[1]):
        if reading.unit == "rad" and numbers.shape[1] == 3 and np.abs(numbers).max() > 2 * np.pi + 0.1:
            continue
        try:
            found.append((reading, matrices(numbers, reading)))
        except ValueError:
            continue
    return found


def _encodings(columns: str, width: int) -> list[Rotation]:
    if width == 4:
        return [Rotation(columns=columns, encoding=encoding) for encoding in ("quat_xyzw", "quat_wxyz")]
    if width == 6:
        return [Rotation(columns=columns, encoding=encoding) for encoding in ("rot6d", "rot6d_columns")]
    if width == 9:
        return [Rotation(columns=columns, encoding="matrix")]
    vectors = [Rotation(columns=columns, encoding="rotation_vector", unit=unit) for unit in ("rad", "deg")]
    return vectors + [
        Rotation(columns=columns, encoding="euler", axes=axes, unit=unit) for axes in _AXES for unit in ("rad", "deg")
    ]


def joint_units(
    columns: str, numbers: FloatArray, calibration: Calibration | None = None
) -> list[tuple[Joints, FloatArray]]:
    """Units that (n, dof) numbers of joints may have, those of a calibration last, and the positions [rad] by them."""
    readings = [Joints(columns=columns, unit="rad"), Joints(columns=columns, unit="deg")]
    found = [(one, joint_positions(numbers, one)) for one in readings]
    return found if calibration is None else found + calibration.readings(columns, numbers)


def joint_readings(
    columns: str, numbers: FloatArray, chain: Chain | None, calibration: Calibration | None = None
) -> list[tuple[Joints, FloatArray]]:
    """Units in which (n, dof) numbers lie within an arm's limits, with its own zero and direction."""
    found = []
    for reading, positions in joint_units(columns, numbers, calibration):
        degrees = chain is not None and reading.unit == "deg"
        values = np.where(chain.slides, numbers, positions) if chain is not None and degrees else positions
        if chain is None and np.abs(values).max() > 2 * np.pi:
            continue
        if chain is None or within_limits(values, chain):
            found.append((reading, values))
    return found


def within_limits(values: FloatArray, chain: Chain) -> bool:
    """Whether nearly all of (n, dof) joint positions [rad or m] are within the arm's limits."""
    inside = (values >= chain.lower - _BEYOND) & (values <= chain.upper + _BEYOND)
    return bool(inside.all(axis=1).mean() >= _INSIDE)
