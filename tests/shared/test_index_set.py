import random

from headstart_client.data.index_set import IndexSet


def test_it_is_what_a_set_of_its_indices_would_be() -> None:
    draw = random.Random(0)
    for count in (0, 1, 7, 60):
        order = draw.sample(range(64), count)
        added, plain = IndexSet(), set[int]()
        for index in order:
            added.add(index)
            plain.add(index)
            assert added == IndexSet.of(plain)
        assert (list(added), len(added)) == (sorted(plain), count)
        assert added.watermark == next(index for index in range(65) if index not in plain)
        assert [index in added for index in range(-1, 65)] == [index in plain for index in range(-1, 65)]
        assert list(added.missing(64)) == [index for index in range(64) if index not in plain]
        assert list(added.missing(20)) == [index for index in range(20) if index not in plain]
        for first in range(-1, 64):
            beyond = sorted(index for index in plain if index > first)
            assert added.after(first, 5) == beyond[:5]
            assert added.after(first, 100) == beyond
            for end in range(first + 1, 64):
                assert added.has_all(range(first, end)) == (plain >= set(range(first, end)))


def test_runs_that_touch_are_one() -> None:
    assert IndexSet([(0, 3), (3, 5), (7, 8)]).runs == ((0, 5), (7, 8))
    nearly = IndexSet()
    for index in (*range(1000), *range(1001, 100_000)):
        nearly.add(index)
    assert nearly.runs == ((0, 1000), (1001, 100_000))
