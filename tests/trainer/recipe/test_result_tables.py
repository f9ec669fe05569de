from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from tests.trainer.recipe.results import WON, result, table
from trainer.intervals import rate_interval, wilson
from trainer.model.modes import MODES
from trainer.recipe.result_tables import groups, motion_table, success_table, training_table

ERRORS = {"position_mm": 3.0, "rotation_deg": 1.25, "gripper_accuracy": 0.985}
MOTION: dict[str, Any] = {
    "chunk_jerk_m_per_s3": 40.0,
    "chunk_acceleration_m_per_s2": 2.0,
    "chunk_rotation_jerk_rad_per_s3": 90.0,
    "demonstration_jerk_m_per_s3": 16.0,
    "demonstration_acceleration_m_per_s2": 1.5,
    "demonstration_rotation_jerk_rad_per_s3": 30.0,
    "border_jump_m": 0.0042,
    "border_jump_rad": np.pi / 180,
    "demonstration_step_jump_m": 0.0021,
    "demonstration_step_jump_rad": np.pi / 360,
    "fast_commands": 0.13,
}


@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_groups_are_in_order_of_task_count_basis_and_mode_whatever_the_order_of_results(random: Any) -> None:
    expected = [
        (task, count, mode, basis)
        for task in ("lift", "stack")
        for count in (20, 100)
        # Those that project first, and of no basis last.
        for basis in (4, 7, 0)
        for mode in MODES
    ]
    results = [
        result(mode, [1, 0], seed, task=task, demonstrations=count, basis=basis)
        for task, count, mode, basis in expected
        for seed in (0, 1, 10)
    ]
    random.shuffle(results)
    grouped = groups(results)
    assert [(g.task, g.demonstrations, g.mode, g.basis) for g in grouped] == expected
    assert all([own["seed"] for own in group.results] == [0, 1, 10] for group in grouped)


def test_results_of_earlier_releases_are_grouped_with_those_of_no_basis() -> None:
    grouped = groups([result("normal", [1, 0], 1, basis=0), result("normal", [1, 1]), result("normal", WON, basis=5)])
    assert [(g.basis, len(g.results)) for g in grouped] == [(5, 1), (0, 2)]
    assert (grouped[1].successes, grouped[1].episodes, grouped[1].rate) == (3, 4, 0.75)
    assert grouped[1].outcomes.tolist() == [[1, 1], [1, 0]]
    assert groups([]) == []


def test_the_interval_of_a_group_is_that_of_its_outcomes() -> None:
    group = groups([result("normal", [1, 0, 1, 1], seed) for seed in (0, 1)])[0]
    assert group.interval == rate_interval(np.array([[1, 0, 1, 1]] * 2))
    assert group.interval == pytest.approx(binom.ppf([0.025, 0.975], 4, 0.75) / 4)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "none"),
        ({"basis": 0, "held": False}, "none"),
        ({"basis": 0, "held": True}, "none, chunks held"),
        ({"basis": 5, "held": True}, "5 directions"),
        ({"basis": 5, "held": False}, "5 directions, chunks free"),
    ],
)
def test_labels_and_rows_name_the_basis_and_how_chunks_join_where_that_is_not_as_usual(
    more: dict[str, Any], words: str
) -> None:
    grouped = groups([result("normal", WON, **more, **MOTION)])
    assert grouped[0].label == f"stack 50\nnormal\n{words}"
    for lines in (success_table(grouped), motion_table(grouped)):
        (row,), _ = table(lines)
        assert row["motion basis"] == words


def test_held_and_free_chunks_are_groups_of_their_own_the_held_first() -> None:
    results = [
        result(mode, [1, 0], basis=basis, held=held)
        for held in (False, True)
        for basis in (0, 5)
        for mode in ("normal", "decoupled")
    ]
    assert [(g.basis, g.held, g.mode) for g in groups(results)] == [
        (basis, held, mode) for basis in (5, 0) for held in (True, False) for mode in ("decoupled", "normal")
    ]


def test_means_are_over_the_seeds_and_unknown_where_one_seed_lacks_the_number() -> None:
    group = groups([result("normal", [1], seed, x=seed, y=None if seed else 1, z=seed == 1) for seed in (0, 1, 5)])[0]
    assert group.mean("x") == 2
    assert group.mean("y") is None
    assert group.mean("w") is None
    assert group.mean("z") == pytest.approx(1 / 3)


def test_success_rows_give_each_seed_the_rate_and_its_interval() -> None:
    mixed = [1] * 10 + [0] * 10
    results = [
        result("decoupled", mixed, 3, basis=6),
        result("decoupled", mixed[::-1], 12, basis=6),
        result("normal", [1] * 20),
    ]
    rows, below = table(success_table(groups(results)))
    low, high = rate_interval(np.array([mixed, mixed[::-1]]))
    every = {"task": "stack", "demonstrations": "50"}
    assert rows == [
        every
        | {
            "mode": "decoupled",
            "motion basis": "6 directions",
            "seeds": "3, 12",
            "successes": "10, 10 of 20",
            "rate": "50.0%",
            "95 %": f"{100 * low:.1f}% to {100 * high:.1f}%",
        },
        every
        | {
            "mode": "normal",
            "motion basis": "none",
            "seeds": "0",
            "successes": "20 of 20",
            "rate": "100.0%",
            "95 %": f"{100 * wilson(20, 20)[0]:.1f}% to 100.0%",
        },
    ]
    assert below == ""
    assert rows[1]["95 %"] == "83.9% to 100.0%"


def test_motion_stands_beside_the_demonstrations_with_units() -> None:
    faster = MOTION | {"chunk_jerk_m_per_s3": 60.0, "border_jump_m": 0.0062, "fast_commands": 0.0}
    results = [result("normal", WON, 0, basis=5, **MOTION), result("normal", WON, 1, basis=5, **faster)]
    rows, below = table(motion_table(groups(results)))
    assert rows == [
        {
            "task": "stack",
            "demonstrations": "50",
            "mode": "normal",
            "motion basis": "5 directions",
            "jerk [m/s³]": "50.0 (16.0)",
            "acceleration [m/s²]": "2.0 (1.5)",
            "turning jerk [rad/s³]": "90.0 (30.0)",
            "jumps between chunks": "5.2 mm, 1.00 deg (2.1 mm, 0.50 deg)",
            "faster than any demonstration": "6.5%",
        }
    ]
    assert below.startswith("Jerk and acceleration: median over predicted chunks (the demonstrations' mean).")


def test_motion_that_was_not_measured_is_an_empty_cell() -> None:
    own = {key: value for key, value in MOTION.items() if key.startswith("chunk")}
    unknown = {"border_jump_m": None, "border_jump_rad": None, "fast_commands": None}
    for more in (own, own | unknown, own | unknown | {"border_jump_m": 0.001}):
        (row,), _ = table(motion_table(groups([result("normal", WON, **more)])))
        assert list(row.values())[4:] == ["40.0", "2.0", "90.0", "", ""]


def test_results_of_earlier_releases_have_no_row_of_motion_and_alone_no_table() -> None:
    old, new = result("normal", WON), result("decoupled", WON, **MOTION)
    assert motion_table(groups([old])) == []
    assert motion_table([]) == []
    rows, _ = table(motion_table(groups([old, new])))
    assert [row["mode"] for row in rows] == ["decoupled"]
    # A seed without it would be left out of a mean that says it is of all.
    assert motion_table(groups([result("normal", WON, 0, **MOTION), result("normal", WON, 1)])) == []


def test_a_training_is_one_row_whether_shown_with_a_basis_or_without() -> None:
    results = [
        result(mode, WON, seed, basis=basis, train_seconds=10.0 + 20 * seed, trained_parameters=1234)
        for mode in ("decoupled", "normal")
        for seed in (0, 1)
        for basis in (5, 0)
    ]
    rows, below = table(training_table({}, groups(results)))
    assert [row["run"] for row in rows] == ["stack, 50, decoupled", "stack, 50, normal"]
    assert list(rows[0].values())[1:] == ["100", "1,234", "20", "200.0", "", "", ""]
    assert below.startswith("Errors are those of full denoising on held-out windows;")


def test_stage_1_is_the_first_row_and_trainings_of_other_counts_have_their_own() -> None:
    stage1 = {"train_seconds": 3600.0, "checkpoint_step": 20_000, "trained_parameters": 5_000_000}
    results = [result("decoupled", WON, demonstrations=count, checkpoint_step=0) for count in (100, 20)]
    rows, _ = table(training_table({"stage1": stage1}, groups(results)))
    assert [row["run"] for row in rows] == ["Stage 1", "stack, 20, decoupled", "stack, 100, decoupled"]
    assert list(rows[0].values())[1:5] == ["20000", "5,000,000", "3600", "180.0"]
    # Of no steps there is no time of one.
    assert list(rows[1].values())[1:5] == ["0", "", "10", "10000.0"]


def test_errors_are_means_over_the_seeds_with_slow_and_fast_where_they_are_known() -> None:
    split = ERRORS | {"slow_position_mm": 2.75, "fast_position_mm": 1.15}
    more = ERRORS | {"position_mm": 5.0, "slow_position_mm": 4.45, "fast_position_mm": 2.25}
    results = [
        result("decoupled", WON, 0, action_error=split),
        result("decoupled", WON, 1, action_error=more),
        result("normal", WON, action_error=ERRORS),
        result("random_body", WON, action_error=None),
    ]
    rows, _ = table(training_table({}, groups(results)))
    columns = ("position error (slow, fast)", "rotation error", "gripper")
    assert [[row[column] for column in columns] for row in rows] == [
        ["4.0 mm (3.6, 1.7)", "1.25 deg", "98.5%"],
        ["3.0 mm", "1.25 deg", "98.5%"],
        ["", "", ""],
    ]


def test_errors_of_joints_are_in_radians_and_have_no_rotation() -> None:
    errors = {"joint_rad": 0.01234, "slow_joint_rad": 0.01, "fast_joint_rad": 0.0072, "gripper_accuracy": 1.0}
    rows, _ = table(training_table({}, groups([result("normal", WON, action_error=errors)])))
    assert list(rows[0].values())[5:] == ["0.0123 rad (0.0100, 0.0072)", "", "100.0%"]
    del errors["slow_joint_rad"], errors["fast_joint_rad"]
    rows, _ = table(training_table({}, groups([result("normal", WON, action_error=errors)])))
    assert rows[0]["position error (slow, fast)"] == "0.0123 rad"


def test_seeds_without_errors_are_left_out_of_their_mean() -> None:
    results = [result("normal", WON, 0), result("normal", WON, 1, action_error=ERRORS)]
    rows, _ = table(training_table({}, groups(results)))
    assert list(rows[0].values())[5:] == ["3.0 mm", "1.25 deg", "98.5%"]
