import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from trainer.intervals import difference_interval, rate_interval, wilson

Outcomes = NDArray[np.int64]
SEEDS = st.integers(0, 2**32 - 1)
Z = 1.959963984540054


def drawn(rates: NDArray[np.float64] | float, seed: int, seeds: int = 1, states: int = 400) -> Outcomes:
    """Outcomes of rollouts, each state with its own rate of success or all with the same."""
    rng = np.random.default_rng(seed)
    return (rng.uniform(size=(seeds, states)) < rates).astype(np.int64)


def width(interval: tuple[float, float]) -> float:
    return interval[1] - interval[0]


@pytest.mark.parametrize(
    ("successes", "episodes", "published"),
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)), (1, 29, (0.0061, 0.1718))],
)
def test_wilson_agrees_with_newcombe_1998_table_1(
    successes: int, episodes: int, published: tuple[float, float]
) -> None:
    assert wilson(successes, episodes) == pytest.approx(published, abs=5e-5)


@given(st.integers(1, 500), st.floats(0, 1))
def test_wilson_is_the_score_equation_solved(episodes: int, share: float) -> None:
    successes = round(share * episodes)
    for bound in wilson(successes, episodes):
        off = successes / episodes - bound
        assert off**2 == pytest.approx(Z**2 * bound * (1 - bound) / episodes, abs=1e-9)
    low, high = wilson(successes, episodes)
    assert wilson(episodes - successes, episodes) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@settings(max_examples=20)
@given(SEEDS, st.floats(0.3, 0.7))
def test_the_interval_of_one_seed_is_near_the_normal_approximation(seed: int, rate: float) -> None:
    outcomes = drawn(rate, seed)
    found = outcomes.mean()
    half = Z * np.sqrt(found * (1 - found) / 400)
    assert rate_interval(outcomes) == pytest.approx((found - half, found + half), abs=0.006)


@given(SEEDS, st.floats(0, 1), st.integers(1, 200))
def test_the_interval_of_one_seed_is_wilsons(seed: int, rate: float, states: int) -> None:
    outcomes = drawn(rate, seed, states=states)
    assert rate_interval(outcomes) == wilson(int(outcomes.sum()), states)


@pytest.mark.parametrize("seeds", [2, 5])
@pytest.mark.parametrize(("successes", "states"), [(3, 20), (10, 20), (19, 20), (37, 50), (98, 100)])
def test_the_same_outcomes_as_several_seeds_have_binomial_quantiles_however_often_they_are_repeated(
    successes: int, states: int, seeds: int
) -> None:
    """How many of resampled states succeed is binomial: no draws are needed to know its percentiles."""
    outcomes = np.zeros((seeds, states), np.int64)
    outcomes[:, :successes] = 1
    exact = binom.ppf([0.025, 0.975], states, successes / states) / states
    assert rate_interval(outcomes) == pytest.approx(tuple(exact), abs=1e-12)


@settings(max_examples=20)
@given(SEEDS, st.floats(0.3, 0.7), st.integers(2, 5))
def test_the_same_outcomes_as_several_seeds_are_no_narrower(seed: int, rate: float, seeds: int) -> None:
    outcomes = drawn(rate, seed)
    repeated = np.repeat(outcomes, seeds, axis=0)
    assert rate_interval(repeated) == pytest.approx(rate_interval(outcomes), abs=0.006)
    assert width(rate_interval(repeated)) > 1.3 * width(wilson(int(repeated.sum()), repeated.size))


def test_seeds_that_succeed_independently_narrow_it_and_states_that_are_hard_for_all_do_not() -> None:
    hard_or_easy = np.repeat([0.02, 0.98], 200)
    alone = width(rate_interval(drawn(0.5, 0)))
    assert alone == pytest.approx(2 * Z * 0.5 / 20, rel=0.02)
    assert width(rate_interval(drawn(0.5, 0, seeds=4))) == pytest.approx(alone / 2, rel=0.1)
    assert width(rate_interval(drawn(hard_or_easy, 0, seeds=4))) > 0.9 * alone


@settings(max_examples=20)
@given(SEEDS, st.integers(2, 6), st.integers(5, 80))
def test_an_interval_holds_its_rate_and_lies_within_zero_and_one(seed: int, seeds: int, states: int) -> None:
    rates = np.random.default_rng(seed).uniform(size=states)
    outcomes = drawn(rates, seed, seeds, states)
    low, high = rate_interval(outcomes)
    assert 0 <= low <= outcomes.mean() <= high <= 1


@given(st.integers(1, 5), st.integers(1, 200))
def test_all_or_no_successes_have_wilsons_interval_of_as_many_rollouts_as_states(seeds: int, states: int) -> None:
    succeeded = np.ones((seeds, states), np.int64)
    assert rate_interval(succeeded) == wilson(states, states)
    assert rate_interval(0 * succeeded) == wilson(0, states)
    # Wilson's lower bound where all succeed, in closed form.
    assert rate_interval(succeeded)[0] == pytest.approx(states / (states + Z**2), abs=1e-9)


@given(SEEDS, st.integers(1, 4), st.integers(1, 50))
def test_the_difference_of_identical_outcomes_is_nothing(seed: int, seeds: int, states: int) -> None:
    outcomes = drawn(0.6, seed, seeds, states)
    assert difference_interval(outcomes, outcomes.copy()) == (0, 0)


@settings(max_examples=20)
@given(SEEDS)
def test_correlated_outcomes_have_a_narrower_difference_than_unpaired_ones(seed: int) -> None:
    """A tenth of the second policy's outcomes are another, the rest are the first one's."""
    first = drawn(0.5, seed)
    second = np.where(drawn(0.1, seed + 1) == 1, 1 - first, first)
    low, high = difference_interval(second, first)
    p, q = second.mean(), first.mean()
    unpaired = 2 * Z * np.sqrt((p * (1 - p) + q * (1 - q)) / 400)
    shuffled = difference_interval(second, np.random.default_rng(seed).permutation(first.T).T)
    assert high - low < 0.6 * unpaired
    assert width(shuffled) == pytest.approx(unpaired, rel=0.15)
    # The normal approximation of pairs: (b + c - (b - c)^2 / n) / n^2.
    gained, lost = ((second > first).sum(), (second < first).sum())
    half = Z * np.sqrt(gained + lost - (gained - lost) ** 2 / 400) / 400
    assert (low, high) == pytest.approx((p - q - half, p - q + half), abs=0.005)


@settings(max_examples=20)
@given(SEEDS)
def test_a_difference_the_other_way_round_is_its_negative(seed: int) -> None:
    first, second = drawn(0.7, seed, seeds=3, states=50), drawn(0.4, seed + 1, seeds=2, states=50)
    low, high = difference_interval(first, second)
    assert difference_interval(second, first) == pytest.approx((-high, -low), abs=1e-12)
    assert low <= first.mean() - second.mean() <= high


def test_a_difference_from_certain_failure_is_the_rate() -> None:
    outcomes = drawn(0.6, 0, seeds=2, states=60)
    assert difference_interval(outcomes, 0 * outcomes) == rate_interval(outcomes)


def test_intervals_are_the_same_every_time_to_the_last_bit() -> None:
    first, second = drawn(0.7, 0, seeds=3, states=50), drawn(0.4, 1, seeds=3, states=50)
    found = {(rate_interval(first.copy()), difference_interval(first.copy(), second.copy())) for _ in range(3)}
    assert len(found) == 1
