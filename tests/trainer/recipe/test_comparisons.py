from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.recipe.results import LOST, WON, result, table
from trainer.intervals import difference_interval
from trainer.recipe.result_tables import compared, groups, success_table, training_table


def test_chunks_that_join_in_another_way_than_usual_are_in_no_comparison() -> None:
    usual = [result("decoupled", WON, basis=5), result("normal", LOST, basis=5), result("normal", LOST, held=False)]
    other = [
        result("decoupled", LOST, basis=5, held=False),
        result("decoupled", WON, basis=0, held=True),
        result("normal", WON, basis=5, held=False),
        result("normal", WON, basis=0, held=True),
    ]
    assert compared(groups(other)) == []
    assert compared(groups([*usual, *other])) == compared(groups(usual))
    assert len(compared(groups(usual))) == 2


def test_decoupled_is_compared_with_each_other_mode_with_the_basis_and_without() -> None:
    results = [
        result("normal", LOST, basis=5),
        result("random_body", [1, 1, 1, 0], basis=5),
        result("decoupled", WON, basis=5),
        result("normal", WON),
        result("decoupled", [1, 1, 0, 0]),
    ]
    quarter = difference_interval(np.array([WON]), np.array([[1, 1, 1, 0]]))
    assert [100 * bound for bound in quarter] == [0, 75]
    start = "- stack, 50 demonstrations, "
    assert compared(groups(results)) == [
        start + "with the motion basis: decoupled against normal: +100.0 points (+100.0 to +100.0).",
        start + "with the motion basis: decoupled against random_body: +25.0 points (+0.0 to +75.0).",
        start + "without: decoupled against normal: -50.0 points (-100.0 to +0.0).",
        start + "decoupled: with the motion basis against without: +50.0 points (+0.0 to +100.0).",
        start + "normal: with the motion basis against without: -100.0 points (-100.0 to -100.0).",
    ]


def test_modes_other_than_decoupled_are_not_compared_with_each_other() -> None:
    assert compared(groups([result("normal", WON), result("finetune", LOST), result("random_frozen", LOST)])) == []


def test_all_seeds_count_in_a_comparison() -> None:
    """Of state means 1, 1/2, 0, 1 against 1/2, 1/2, 0, 0: differences of 1/2, 0, 0, 1."""
    results = [
        result("decoupled", [1, 1, 0, 1], 0),
        result("decoupled", [1, 0, 0, 1], 1),
        result("normal", [1, 0, 0, 0], 0),
        result("normal", [0, 1, 0, 0], 1),
    ]
    rng = np.random.default_rng(1)
    means = rng.choice([0.5, 0, 0, 1], (200_000, 4)).mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    assert compared(groups(results)) == [
        f"- stack, 50 demonstrations, without: decoupled against normal: +37.5 points "
        f"({100 * low:+.1f} to {100 * high:+.1f})."
    ]


def test_two_demonstration_counts_have_a_line_each_and_one_of_both() -> None:
    results = [
        result("decoupled", WON, demonstrations=100),
        result("normal", LOST, demonstrations=100),
        result("decoupled", WON, demonstrations=20),
        result("normal", WON, demonstrations=20),
        result("decoupled", WON, task="lift", demonstrations=20),
        result("normal", LOST, task="lift", demonstrations=20),
    ]
    assert compared(groups(results)) == [
        "- lift, 20 demonstrations, without: decoupled against normal: +100.0 points (+100.0 to +100.0).",
        "- stack, 20 demonstrations, without: decoupled against normal: +0.0 points (+0.0 to +0.0).",
        "- stack, 100 demonstrations, without: decoupled against normal: +100.0 points (+100.0 to +100.0).",
        # Each state was lost at one count and won at the other.
        "- stack, 20 and 100 demonstrations, without: decoupled against normal: +50.0 points (+50.0 to +50.0).",
    ]


def test_the_basis_is_compared_over_two_demonstration_counts_too() -> None:
    results = [
        result("normal", outcomes, seed, demonstrations=count, basis=basis)
        for count, basis, outcomes in ((20, 5, WON), (20, 0, LOST), (100, 5, WON), (100, 0, WON))
        for seed in (0, 1)
    ]
    assert compared(groups(results))[-1] == (
        "- stack, 20 and 100 demonstrations, normal: with the motion basis against without: +50.0 points "
        "(+50.0 to +50.0)."
    )


def test_no_line_is_pooled_where_one_count_lacks_a_mode() -> None:
    results = [
        result("decoupled", WON, demonstrations=20),
        result("normal", LOST, demonstrations=20),
        result("decoupled", WON, demonstrations=100),
    ]
    lines = compared(groups(results))
    assert len(lines) == 1
    assert lines[0].startswith("- stack, 20 demonstrations, without: decoupled against normal: +100.0 points")


@pytest.mark.parametrize(
    "other",
    [
        [result("normal", WON, seed=1)],
        [result("normal", WON, seed) for seed in (0, 1)],
        [result("normal", WON, first_seed=0)],
        [result("normal", WON[:3])],
        [],
    ],
)
def test_results_of_other_seeds_or_initial_states_are_not_compared(other: list[dict[str, Any]]) -> None:
    assert compared(groups([result("decoupled", WON), *other])) == []
    smooth = [result("normal", WON, basis=5)]
    assert compared(groups([*smooth, *other])) == []


def test_counts_with_other_numbers_of_initial_states_have_lines_but_none_of_both() -> None:
    results = [
        result(mode, outcomes, demonstrations=count)
        for mode in ("decoupled", "normal")
        for count, outcomes in ((20, WON), (100, WON[:2]))
    ]
    assert [line.split(",")[1] for line in compared(groups(results))] == [
        " 20 demonstrations",
        " 100 demonstrations",
    ]


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(2, 30))
def test_points_are_the_difference_of_the_rates_in_the_success_table(seed: int, seeds: int, states: int) -> None:
    rng = np.random.default_rng(seed)
    results = [
        result(mode, rng.integers(0, 2, states).tolist(), own)
        for mode in ("decoupled", "normal")
        for own in range(seeds)
    ]
    (line,) = compared(groups(results))
    ours, theirs = groups(results)
    points = 100 * (ours.successes - theirs.successes) / (seeds * states)
    assert float(line.split(": ")[2].split()[0]) == pytest.approx(points, abs=0.051)


def test_copies_are_told_apart_and_compared_with_none() -> None:
    with_copies = {"multiplied": 3000, "basis": 5}
    grouped = groups(
        [
            result("decoupled", WON, **with_copies),
            result("normal", [1, 1, 1, 0], **with_copies),
            result("decoupled", [1, 0, 0, 0], basis=5),
            result("normal", LOST, basis=5),
        ]
    )
    assert [(group.mode, group.multiplied, group.successes) for group in grouped] == [
        ("decoupled", 0, 1),
        ("normal", 0, 0),
        ("decoupled", 3000, 4),
        ("normal", 3000, 3),
    ]
    rows, _ = table(success_table(grouped))
    assert [row["demonstrations"] for row in rows] == ["50", "50", "50 + 3,000 copies", "50 + 3,000 copies"]
    lines = compared(grouped)
    assert any(
        line.startswith("- stack, 50 demonstrations, decoupled: with 3,000 copies against without: +75.0 points (")
        for line in lines
    )
    modes = [line for line in lines if "decoupled against normal" in line]
    assert modes[0].startswith("- stack, 50 demonstrations, with the motion basis: decoupled against normal: +25.0")
    assert modes[1].startswith(
        "- stack, 50 demonstrations, 3,000 copies, with the motion basis: decoupled against normal: +25.0"
    )
    trained = training_table({}, [group for group in grouped])
    assert "| stack, 50 + 3,000 copies, normal |" in "\n".join(trained)
