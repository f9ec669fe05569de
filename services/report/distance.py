"""How far two samples of action windows are from being drawn from one distribution: the energy distance.

D^2 = 2 E|X - Y| - E|X - X'| - E|Y - Y'|, and D = sqrt(D^2) is a metric that is 0 for equal distributions alone
(Szekely and Rizzo 2013, "Energy statistics"). It needs no bandwidth, no covariance and no trained network.

A window is the vector of its actions: positions scaled to [-1, 1] by the demonstrations' own range, rotation_6d and
gripper as they are. The scale is the demonstrations', not the dataset's, so that datasets of different ranges can be
set side by side. The norm is the root mean square over a window's steps, so D is in units of one action.

Expectations are over windows of *different* demonstrations (or trajectories): windows of one resemble each other, and
counting them would make demonstrations look farther from others of their kind than they are. The interval is from a
bootstrap that draws whole demonstrations and trajectories.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.rotation import matrix_to_rot6d, rot6d_to_matrix
from shared.summary import DemonstrationSummary, Windows

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ASPECTS = ("whole window", "position", "orientation", "gripper", "motion")
"""The whole action; its parts; and motion, how position and orientation change from a window's first step on."""
CONFIDENCE = 0.95
_RESAMPLES = 200
_SEED = 0


@dataclass(frozen=True)
class Distance:
    """An energy distance.

    Attributes:
        value: D, 0 where the estimate of D^2 is negative, which sampling can make it.
        low: of the bootstrap interval at CONFIDENCE.
        high: likewise.
    """

    value: float
    low: float
    high: float


def window_distances(a: Windows, b: Windows, summary: DemonstrationSummary) -> dict[str, Distance] | None:
    """Distance between two samples of windows for each of ASPECTS; None if one has fewer than two episodes.

    Args:
        a: a sample.
        b: another, of the same horizon.
        summary: of the demonstrations, whose range scales positions.
    """
    if min(len(np.unique(a.episode)), len(np.unique(b.episode))) < 2:
        return None
    parts = zip(_features(a, summary), _features(b, summary), strict=True)
    return {name: energy_distance(x, a.episode, y, b.episode) for name, (x, y) in zip(ASPECTS, parts, strict=True)}


def energy_distance(x: FloatArray, x_group: IntArray, y: FloatArray, y_group: IntArray) -> Distance:
    """Energy distance between samples (n, k) and (m, k), each in at least two groups whose members are dependent."""
    (x, x_size), (y, y_size) = _grouped(x, x_group), _grouped(y, y_group)
    within = [(_sums(_norms(values, values), size, size), size) for values, size in ((x, x_size), (y, y_size))]
    across = _sums(_norms(x, y), x_size, y_size)

    def squared(wx: FloatArray, wy: FloatArray) -> float:
        between = (wx @ across @ wy) / ((wx @ x_size) * (wy @ y_size))
        inside = [_apart(w, total, size) for w, (total, size) in zip((wx, wy), within, strict=True)]
        return float(2 * between - sum(inside))

    rng = np.random.default_rng(_SEED)
    drawn = [squared(_weights(rng, len(x_size)), _weights(rng, len(y_size))) for _ in range(_RESAMPLES)]
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    value = squared(np.ones(len(x_size)), np.ones(len(y_size)))
    return Distance(*(float(np.sqrt(max(0.0, square))) for square in (value, low, high)))


def _apart(weight: FloatArray, total: FloatArray, size: FloatArray) -> float:
    """Mean norm between members of different groups, each group drawn as often as its weight says."""
    square = weight**2
    pairs = (weight @ size) ** 2 - square @ size**2
    return float((weight @ total @ weight - square @ np.diag(total)) / pairs)


def _grouped(x: FloatArray, group: IntArray) -> tuple[FloatArray, FloatArray]:
    """The samples with those of a group beside one another, and how many each group has."""
    _, size = np.unique(group, return_counts=True)
    return x[np.argsort(group, kind="stable")], size.astype(np.float64)


def _sums(norms: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Norms summed over the members of each pair of groups, whose sizes are given."""
    first, second = (np.concatenate([[0], np.cumsum(size[:-1])]).astype(np.int64) for size in (rows, columns))
    return np.asarray(np.add.reduceat(np.add.reduceat(norms, first, axis=0), second, axis=1))


def _norms(x: FloatArray, y: FloatArray) -> FloatArray:
    """|x_i - y_j|, shape (n, m)."""
    squares = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


def _weights(rng: np.random.Generator, groups: int) -> FloatArray:
    """How often each group is drawn when `groups` of them are; at least two different ones."""
    while True:
        weights = rng.multinomial(groups, np.full(groups, 1 / groups)).astype(np.float64)
        if np.count_nonzero(weights) > 1:
            return weights


def _features(windows: Windows, summary: DemonstrationSummary) -> list[FloatArray]:
    """For each of ASPECTS the windows as vectors whose norm is the root mean square over steps."""
    values, horizon = windows.values, windows.values.shape[1]
    low, high = summary.position_range
    # An axis on which the demonstrations never move has no scale of its own.
    half = np.maximum((high - low) / 2, 1e-3)
    position, rotation_6d, gripper = (values[..., :3] - (low + high) / 2) / half, values[..., 3:9], values[..., 9:]
    rotation = rot6d_to_matrix(rotation_6d)
    turn = matrix_to_rot6d(np.swapaxes(rotation[:, :1], -1, -2) @ rotation)
    motion = np.concatenate([position - position[:, :1], turn], axis=-1)
    whole = np.concatenate([position, rotation_6d, gripper], axis=-1)
    parts = (whole, position, rotation_6d, gripper, motion)
    return [part.reshape(len(values), -1) / np.sqrt(horizon) for part in parts]
