import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.philox import philox_uint64, philox_uniform


def _reference(seed: int, stream: int, counter: int) -> np.random.Philox:
    key = np.array([seed, stream], np.uint64)
    return np.random.Philox(key=key, counter=np.array([0, 0, 0, counter], np.uint64))


@given(
    seed=st.integers(0, 2**64 - 1),
    # Of up to eight NumPy's own generator draws.
    streams=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=12),
    counter=st.integers(0, 2**63 - 1),
    n=st.integers(1, 13),
)
def test_equals_numpy_bit_for_bit(seed: int, streams: list[int], counter: int, n: int) -> None:
    words = philox_uint64(seed, np.array(streams), counter, n)
    floats = philox_uniform(seed, np.array(streams), counter, n)
    for row, stream in enumerate(streams):
        np.testing.assert_array_equal(words[row], _reference(seed, stream, counter).random_raw(n))
        np.testing.assert_array_equal(floats[row], np.random.Generator(_reference(seed, stream, counter)).random(n))


@pytest.mark.parametrize(("streams", "n"), [(9, 1), (20, 3), (9, 300), (9, 301), (8, 7), (1, 1000)])
def test_few_and_many_streams_and_words_are_the_same_numbers(streams: int, n: int) -> None:
    ids = np.random.default_rng(0).integers(0, 2**62, streams)
    counters = 2**63 + np.arange(streams, dtype=np.uint64)
    for counter in (counters, 7):
        words = philox_uint64(2**64 - 1, ids, counter, n)
        for row, one in enumerate(np.broadcast_to(np.asarray(counter, np.uint64), streams).tolist()):
            np.testing.assert_array_equal(words[row], _reference(2**64 - 1, int(ids[row]), one).random_raw(n))


@pytest.mark.parametrize(("streams", "n"), [(2**14 + 3, 1), (9000, 5), (500, 299)])
def test_more_than_is_computed_at_once_is_the_same_numbers(streams: int, n: int) -> None:
    ids, counters = np.arange(streams) + 5, np.arange(streams) + 2**40
    words = philox_uint64(11, ids, counters, n)
    assert words.shape == (streams, n)
    # The borders of what is computed at once are among them.
    for row in {0, 54, 217, 218, 435, 436, 499, streams - 4, streams - 3, 8191, 8192, 8999} & set(range(streams)):
        expected = _reference(11, int(ids[row]), int(counters[row])).random_raw(n)
        np.testing.assert_array_equal(words[row], expected)


@pytest.mark.parametrize("n", [1, 1000])
def test_no_stream_has_no_words(n: int) -> None:
    assert philox_uint64(0, np.empty(0, np.int64), 0, n).shape == (0, n)


def test_counters_may_differ_by_stream() -> None:
    streams, counters = np.array([3, 3, 9]), np.array([0, 1, 1])
    words = philox_uint64(5, streams, counters, 6)
    for row in range(3):
        expected = _reference(5, int(streams[row]), int(counters[row])).random_raw(6)
        np.testing.assert_array_equal(words[row], expected)


@pytest.mark.parametrize("streams", [3, 12])
def test_branches_are_the_middle_words_of_the_counter(streams: int) -> None:
    ids, first, second = (np.resize(values, streams) for values in ([3, 3, 9], [0, 1, 5], [7, 2, 2]))
    words = philox_uint64(5, ids, 4, 6, (first, second))
    for row in range(streams):
        counter = np.array([0, first[row], second[row], 4], np.uint64)
        key = np.array([5, ids[row]], np.uint64)
        np.testing.assert_array_equal(words[row], np.random.Philox(key=key, counter=counter).random_raw(6))
