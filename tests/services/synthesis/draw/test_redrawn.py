import numpy as np
import pytest

from services.synthesis.draw.redrawn import redrawn_uniform
from shared.philox import philox_uniform


@pytest.mark.parametrize("words", [1, 4, 7, 30])
@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_they_are_the_numbers_of_philox(words: int, seed: int) -> None:
    rng = np.random.default_rng(0)
    ids, attempts, waypoint, count = (rng.integers(0, high, 40) for high in (2**62, 1000, 30, 20))
    ours = redrawn_uniform(seed, ids, attempts, waypoint, count, words)
    assert np.array_equal(ours, philox_uniform(seed, ids, 1 + attempts, words, (waypoint, count)))
    one = redrawn_uniform(seed, ids[:1], attempts[:1], waypoint[:1], count[:1], words)
    assert np.array_equal(one, ours[:1])
    assert redrawn_uniform(seed, ids[:0], attempts[:0], waypoint[:0], count[:0], words).shape == (0, words)
