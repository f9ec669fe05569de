"""How the poses of a motion family lie to each other, where they are not drawn one by one."""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.draw.uniform import between, directions
from services.synthesis.numerics.rotations import from_rotvec, product
from services.synthesis.request.families import ABOVE_PICK, ABOVE_PLACE, LIFTED, PICK, PLACE, RETREATED

FloatArray = NDArray[np.float64]

ARRANGEMENT_WORDS = 6
"""Uniform numbers for each waypoint."""
LINE_LENGTH = (0.05, 0.30)
"""Length of a line whose end is drawn from its beginning [m]."""
LINE_TURN = np.pi / 4
"""Greatest angle that the tool turns on it [rad]."""
APPROACH = (0.05, 0.15)
"""How far the tool is from a pose to pick or to place at before and after it [m], against its own z axis."""


def chain_lines(position: FloatArray, rotation: FloatArray, u: FloatArray) -> None:
    """Puts each pose after the first near the one before it, in any direction and turned about any axis.

    Args:
        position: of m candidates, shape (m, W, 3) [m]; replaced in place from the second waypoint on.
        rotation: likewise, shape (m, W, 3, 3).
        u: uniform numbers, shape (m, W, ARRANGEMENT_WORDS).
    """
    shift = between(LINE_LENGTH, u[..., 2])[..., None] * directions(u[..., 0], u[..., 1])
    turn = from_rotvec(LINE_TURN * u[..., 5, None] * directions(u[..., 3], u[..., 4]))
    for k in range(1, position.shape[1]):
        position[:, k] = position[:, k - 1] + shift[:, k]
        rotation[:, k] = product(turn[:, k], rotation[:, k - 1])


def pick_and_place(position: FloatArray, rotation: FloatArray, u: FloatArray, *, from_above: bool) -> None:
    """Puts poses straight behind those to pick and to place at, a drawn distance before and another after.

    Args:
        position: of m candidates, shape (m, W, 3) [m]; replaced in place but at PICK and PLACE, or, `from_above`, but
            at ABOVE_PICK and ABOVE_PLACE.
        rotation: likewise, shape (m, W, 3, 3).
        u: uniform numbers, shape (m, W, ARRANGEMENT_WORDS).
        from_above: whether the poses above are the given ones.
    """
    for above, at, after in ((ABOVE_PICK, PICK, LIFTED), (ABOVE_PLACE, PLACE, RETREATED)):
        before, behind = (between(APPROACH, u[:, waypoint, 0])[:, None] for waypoint in (above, after))
        given, other, sign = (above, at, 1.0) if from_above else (at, above, -1.0)
        forward = rotation[:, given, :, 2]
        rotation[:, other] = rotation[:, after] = rotation[:, given]
        position[:, other] = position[:, given] + sign * before * forward
        position[:, after] = position[:, at] - behind * forward
