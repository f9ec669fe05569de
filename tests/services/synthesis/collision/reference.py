"""Distances by others: Coal's, and those of a least-squares solver."""

import itertools
from typing import Any

import coal
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from services.synthesis.collision.bounds import BOX
from services.synthesis.collision.separations import Separations

FloatArray = NDArray[np.float64]

COAL_TOLERANCE = 5e-6
"""How far [m] Coal is off, a metre or two away."""


def pair_distance(apart: Separations, pair: int, frames: FloatArray) -> float:
    """Coal's distance of a pair [m], not above 0 where it meets, from the frames of its bodies' joints."""
    second = int(apart.second[pair])
    other = solid(apart.solids[-1 - second]) if second < 0 else link(apart, second, frames)
    return distance(link(apart, int(apart.first[pair]), frames), other)


def distance(first: tuple[Any, Any], second: tuple[Any, Any]) -> float:
    """Coal's distance of two placed shapes [m], not above 0 where they meet."""
    return float(coal.distance(*first, *second, coal.DistanceRequest(), coal.DistanceResult()))


def link(apart: Separations, body: int, frames: FloatArray) -> tuple[Any, Any]:
    """Coal's shape of a link, and where it is."""
    return apart.bodies.shapes[body], placement(frames[apart.bodies.joint[body] + 1])


def solid(row: FloatArray) -> tuple[Any, Any]:
    """Coal's shape of a keep-out, and where it is."""
    if row[0] != BOX:
        return coal.Halfspace(row[1:4], row[4]), coal.Transform3s()
    low, high = row[1:4], row[4:7]
    return coal.Box(high - low), coal.Transform3s(np.eye(3), (low + high) / 2)


def placement(frame: FloatArray) -> Any:
    """Coal's transform of a frame (12,)."""
    return coal.Transform3s(frame[:9].reshape(3, 3), frame[9:])


def corners_of(box: FloatArray) -> FloatArray:
    """The eight corners of a box's row."""
    return np.array(list(itertools.product(*zip(box[1:4], box[4:7], strict=True))))


def hull_distance(a: FloatArray, b: FloatArray) -> float:
    """Distance of the hulls of points (n, 3) and (m, 3), by non-negative least squares of their differences' shares."""
    differences = (b[None] - a[:, None]).reshape(-1, 3)
    weight = 1e3
    system = np.concatenate([differences.T, np.full((1, len(differences)), weight)])
    shares, _ = nnls(system, np.array([0.0, 0.0, 0.0, weight]), maxiter=10_000)
    return float(np.linalg.norm(differences.T @ (shares / shares.sum())))
