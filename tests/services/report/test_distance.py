import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from services.report.distance import ASPECTS, energy_distance, window_distances
from shared.rotation import matrix_to_rot6d, rot6d_to_matrix, rotvec_to_matrix
from shared.summary import DemonstrationSummary, Windows
from tests.shared.summary_example import example_summary


def _apart(n: int) -> NDArray[np.int64]:
    return np.arange(n)


def test_it_is_scipys_energy_distance_but_for_pairs_of_one_with_itself() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 1, 60), rng.normal(0.7, 1.3, 80)
    found = energy_distance(x[:, None], _apart(60), y[:, None], _apart(80)).value
    within = [np.abs(v[:, None] - v).mean() for v in (x, y)]
    # scipy's means are over all pairs, ours over those of two different ones: n^2 against n (n - 1).
    expected = stats.energy_distance(x, y) ** 2 - within[0] / 59 - within[1] / 79
    assert found**2 == pytest.approx(expected, rel=1e-12)


def test_two_gaussians_have_the_distance_that_can_be_written_down() -> None:
    shift, n, runs = 2.0, 120, 40
    # E|X - Y| of a Gaussian of variance 2 around the shift (folded normal), and E|X - X'| = 2/sqrt(pi).
    between = 2 / np.sqrt(np.pi) * np.exp(-(shift**2) / 4) + shift * (1 - 2 * stats.norm.cdf(-shift / np.sqrt(2)))
    expected = np.sqrt(2 * between - 4 / np.sqrt(np.pi))
    found = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        found.append(energy_distance(rng.normal(0, 1, (n, 1)), _apart(n), rng.normal(shift, 1, (n, 1)), _apart(n)))
    assert np.mean([one.value for one in found]) == pytest.approx(expected, rel=0.02)
    assert sum(one.low < expected < one.high for one in found) >= 0.9 * runs


def test_alike_members_of_a_group_do_not_count_as_a_difference() -> None:
    """Twenty demonstrations against twenty others of their kind: no farther apart than chance, over many draws."""
    squares, naive, covered = [], [], 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        centre = np.repeat(rng.normal(0, 1, (40, 2)), 10, axis=0) + rng.normal(0, 0.1, (400, 2))
        group = np.repeat(np.arange(20), 10)
        one, two = centre[:200], centre[200:]
        found = energy_distance(one, group, two, group)
        squares.append(found.value**2)
        covered += found.low == 0
        naive.append(energy_distance(one, _apart(200), two, _apart(200)).value ** 2)
    assert np.mean(naive) > 0.1
    assert np.mean(squares) < 0.05
    assert covered >= 36


def _windows(rng: np.random.Generator, n: int, shift: float = 0.0) -> Windows:
    values = np.empty((n, 16, 10))
    values[..., :3] = rng.uniform(0, 0.2, (n, 1, 3)) + 0.01 * np.arange(16)[:, None] * rng.normal(0, 1, (n, 1, 3))
    values[..., 0] += shift
    turn = rng.normal(0, 1, (n, 1, 3)) + 0.05 * np.arange(16)[:, None] * rng.normal(0, 1, (n, 1, 3))
    values[..., 3:9] = matrix_to_rot6d(rotvec_to_matrix(turn))
    values[..., 9] = rng.choice([-1.0, 1.0], (n, 1))
    return Windows(np.arange(n), values)


@pytest.fixture(scope="module")
def summary() -> DemonstrationSummary:
    return DemonstrationSummary.from_json(example_summary())


def test_each_aspect_sees_its_own_difference(summary: DemonstrationSummary) -> None:
    rng = np.random.default_rng(2)
    one, moved, turned, closed = (_windows(rng, 400) for _ in range(4))
    moved.values[..., 0] += 0.3
    quarter = rotvec_to_matrix(np.array([0.0, 0.0, np.pi / 2]))
    turned.values[..., 3:9] = matrix_to_rot6d(quarter @ rot6d_to_matrix(turned.values[..., 3:9]))
    closed.values[..., 9] = 1.0
    far = {}
    for name, other in (("position", moved), ("orientation", turned), ("gripper", closed)):
        found = window_distances(one, other, summary)
        assert found is not None
        assert tuple(found) == ASPECTS
        far[name] = {aspect for aspect in ASPECTS[1:] if found[aspect].low > 0.15}
        assert found["whole window"].low > 0.1
    # Where and how the tool is held does not change how it moves.
    assert far == {"position": {"position"}, "orientation": {"orientation"}, "gripper": {"gripper"}}
    faster = _windows(rng, 400)
    faster.values[..., :3] += 0.02 * np.arange(16)[:, None]
    found = window_distances(one, faster, summary)
    assert found is not None
    assert found["motion"].low > 0.3


def test_a_shift_by_half_the_range_is_about_one(summary: DemonstrationSummary) -> None:
    still = np.zeros((50, 16, 10))
    still[..., :3] = summary.position_range.mean(0) + np.random.default_rng(3).normal(0, 1e-6, (50, 1, 3))
    still[..., [3, 7]] = 1
    moved = still.copy()
    moved[..., 1] += (summary.position_range[1] - summary.position_range[0])[1] / 2
    found = window_distances(Windows(_apart(50), still), Windows(_apart(50), moved), summary)
    assert found is not None
    # Of two single points a distance d apart it is sqrt(2 d).
    assert found["whole window"].value == pytest.approx(np.sqrt(2), rel=1e-3)


def test_too_few_are_no_distance(summary: DemonstrationSummary) -> None:
    one = _windows(np.random.default_rng(4), 10)
    assert window_distances(one, Windows(np.zeros(10, np.int64), one.values), summary) is None
    assert window_distances(Windows(_apart(0), one.values[:0]), one, summary) is None
