"""Our distances of convex bodies beside Coal's, in random poses, touching, one inside another, and of flat bodies."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from services.synthesis.collision.bounds import BOX
from services.synthesis.collision.distances import MEETS, TIGHT, separation
from services.synthesis.collision.separations import separations
from tests.services.synthesis.collision.reference import (
    COAL_TOLERANCE,
    corners_of,
    distance,
    hull_distance,
    placement,
    solid,
)
from tests.services.synthesis.examples import panda

FloatArray = NDArray[np.float64]
BODIES = separations(panda(), True, ()).bodies
LINKS = len(BODIES.shapes)


class Pair(NamedTuple):
    """A link and another or a box, each in a pose."""

    first: int
    second: int
    frames: FloatArray
    box: FloatArray | None

    def corners(self, body: int) -> FloatArray:
        """Corners of one of the two, in its own frame."""
        which = (self.first, self.second)[body]
        return BODIES.corners[BODIES.first_corner[which] : BODIES.first_corner[which + 1]]

    def placed(self, body: int) -> FloatArray:
        """Corners of one of the two in the base frame."""
        if body and self.box is not None:
            return corners_of(self.box)
        frame = self.frames[body]
        return np.asarray(self.corners(body) @ frame[:9].reshape(3, 3).T + frame[9:])

    def by_coal(self) -> float:
        first, second = (
            (BODIES.shapes[which], placement(self.frames[body])) for body, which in enumerate((self.first, self.second))
        )
        return distance(first, second if self.box is None else solid(self.box))

    def moved(self, by: FloatArray) -> "Pair":
        frames = self.frames.copy()
        frames[0, 9:] += by
        return self._replace(frames=frames)


def _random_pairs(count: int, seed: int, scale: float) -> Iterator[Pair]:
    rng = np.random.default_rng(seed)
    for i in range(count):
        rotation = Rotation.random(2, random_state=rng).as_matrix().reshape(2, 9)
        frames = np.concatenate([rotation, scale * rng.normal(size=(2, 3))], axis=1)
        low = scale * rng.normal(size=3)
        box = np.array([BOX, *low, *low + 10 ** rng.uniform(-4, 0.3, size=3)])
        first, second = rng.integers(0, LINKS, 2)
        yield Pair(int(first), int(second), frames, box if i % 2 else None)


def _ask(pair: Pair, near: float, enough: float, direction: FloatArray) -> tuple[float, FloatArray]:
    """Ours: the bound and its direction."""
    first = (0, int(BODIES.first_corner[pair.first]), int(BODIES.first_corner[pair.first + 1]))
    second = (1, int(BODIES.first_corner[pair.second]), int(BODIES.first_corner[pair.second + 1]))
    solids = np.zeros((1, 7)) if pair.box is None else pair.box[None]
    start = (float(direction[0]), float(direction[1]), float(direction[2]))
    found, *line = separation(
        pair.frames,
        BODIES.corners,
        first,
        second,
        solids,
        -1 if pair.box is None else 0,
        start,
        near,
        enough,
        np.empty((5, 3)),
    )
    return found, np.array(line)


def _exact(pair: Pair, direction: FloatArray) -> float:
    """The distance between which and TIGHT less ours changes its mind, by bisection."""
    low, high = 0.0, 10.0
    while high - low > TIGHT / 4:
        middle = (low + high) / 2
        low, high = (low, middle) if _ask(pair, middle, 0.0, direction)[0] == MEETS else (middle, high)
    return high


@pytest.mark.parametrize("scale", [0.05, 0.3, 1.0])
def test_verdicts_are_coals_wherever_it_begins(scale: float) -> None:
    rng = np.random.default_rng(7)
    met = 0
    for pair in _random_pairs(1500, seed=0, scale=scale):
        reference, direction = pair.by_coal(), rng.normal(size=3)
        for begin in (direction / np.linalg.norm(direction), np.zeros(3)):
            if reference <= 0:
                met += 1
                assert _ask(pair, 0.0, np.inf, begin)[0] == MEETS
                continue
            assert _ask(pair, reference + COAL_TOLERANCE, 0.0, begin)[0] == MEETS
            if reference > COAL_TOLERANCE:
                assert _ask(pair, reference - COAL_TOLERANCE, 0.0, begin)[0] > reference - COAL_TOLERANCE
    assert (met > 500) == (scale < 0.1)


def test_bounds_are_never_above_the_distance_and_as_good_as_is_asked() -> None:
    for pair in _random_pairs(1000, seed=1, scale=0.4):
        reference = pair.by_coal()
        found, line = _ask(pair, 0.0, np.inf, np.array([0.0, 0.0, 1.0]))
        if found == MEETS:
            assert reference < COAL_TOLERANCE
            continue
        assert 0.98 * reference - COAL_TOLERANCE <= found <= reference + COAL_TOLERANCE
        # The line is what shows it: along it the bodies are this far apart.
        assert np.linalg.norm(line) == pytest.approx(1.0, abs=1e-12)
        assert (pair.placed(1) @ line).min() - (pair.placed(0) @ line).max() == pytest.approx(found, abs=1e-12)
        enough, _ = _ask(pair, 0.0, 0.3 * reference, np.array([0.0, 0.0, 1.0]))
        assert 0.3 * reference <= enough <= reference + COAL_TOLERANCE


def test_the_distance_is_exact() -> None:
    """By least squares, which Coal is a few micrometres away from."""
    compared = 0
    for pair in _random_pairs(60, seed=2, scale=0.6):
        if pair.box is None:
            continue
        exact = hull_distance(pair.placed(0), pair.placed(1))
        if exact > 1e-4:
            compared += 1
            assert _exact(pair, np.array([1.0, 0.0, 0.0])) == pytest.approx(exact, abs=3 * TIGHT)
    assert compared > 15


@pytest.mark.parametrize("apart", [-1e-6, 1e-6, 0.002, 0.005])
def test_bodies_that_are_put_so_far_apart(apart: float) -> None:
    """Moved along the line in which they are nearest, so that they touch, or nearly."""
    for pair in _random_pairs(400, seed=3, scale=0.6):
        found, line = _ask(pair, 0.0, np.inf, np.array([1.0, 0.0, 0.0]))
        if found == MEETS:
            continue
        exact = _exact(pair, line)
        _, line = _ask(pair, exact - 4 * TIGHT, np.inf, line)
        moved = pair.moved((exact - apart) * line)
        assert (_ask(moved, 0.0, 0.0, np.zeros(3))[0] == MEETS) == (apart < 0)
        if apart > 1e-3:
            assert _ask(moved, apart + 2e-8, np.inf, line)[0] == MEETS
            assert _ask(moved, apart - 2e-8, np.inf, line)[0] > apart - 2e-8


def test_what_lies_deep_inside_meets() -> None:
    rng = np.random.default_rng(4)
    for pair in _random_pairs(300, seed=4, scale=0.0):
        frames = pair.frames.copy()
        for body in (0, 1):
            frames[body, 9:] = -(pair.corners(body) @ frames[body, :9].reshape(3, 3).T).mean(0)
        frames[0, 9:] += 1e-3 * rng.normal(size=3)
        inside = Pair(pair.first, pair.second, frames, None)
        direction = rng.normal(size=3)
        for near in (0.0, 0.002):
            assert _ask(inside, near, np.inf, direction / np.linalg.norm(direction))[0] == MEETS
        around = np.array([BOX, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0])
        assert _ask(inside._replace(box=around), 0.002, np.inf, np.zeros(3))[0] == MEETS


def test_flat_bodies_edges_and_points() -> None:
    """Squares, needles and points, parallel and in one plane, where a simplex has no volume."""
    square = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0.5, 0.5, 0], [0.5, 0, 0]])
    needle, point = square[[0, 1, 5]], square[:1]
    frames = np.zeros((2, 12))
    frames[:, [0, 4, 8]] = 1.0
    for first in (square, needle, point):
        for second in (square, needle, point):
            corners = np.concatenate([first, second])
            one, other = (0, 0, len(first)), (1, len(first), len(corners))
            for shift in ([0, 0, 0.3], [0, 0, -0.004], [3.0, 0, 0], [0, -2.0, 0], [1.2, 0, 0.5], [0, 1.0 + 0.004, 0]):
                frames[1, 9:] = shift
                expected = hull_distance(first, second + np.array(shift))
                for near, meets in ((expected + 1e-8, True), (expected - 1e-8, False)):
                    found, *_ = separation(
                        frames, corners, one, other, np.zeros((1, 7)), -1, (0.0, 0.0, 0.0), near, 0.0, np.empty((5, 3))
                    )
                    assert (found == MEETS) == meets
