"""benchmarks.cameras: what it runs, where it goes on, and the table of what came out."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cameras import Plan, commands
from docs import cameras
from docs.cameras import cameras_table


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan("lift", None, 30, 20, 0, 4, 512, 3, "cuda", tmp_path / "with space")


def started(plan: Plan, seeds: list[int]) -> list[str]:
    """The program and command of each step, and what tells it from others of its kind."""
    telling = ("--condition", "--mode", "--draw", "--request")
    lines = []
    for words in commands(plan, seeds):
        values = [words[words.index(option) + 1] for option in telling if option in words]
        lines.append(" ".join([*words[:2], *(Path(value).name for value in values)]))
    return lines


POLICIES = ["trainer adapt normal", *["trainer adapt decoupled"] * 2, *["trainer evaluate"] * 3]
SHARED = ["trainer demonstrate", "services generate trajectories.request.json", "trainer pretrain joint_position"]


def of_seed(seed: int) -> list[str]:
    made = ["trainer motions", f"services generate lift-{seed}-copies.request.json", "trainer pretrain objects"]
    return [f"trainer render {seed}", *made, *POLICIES]


def test_all_is_run_in_order_and_seeds_share_what_knows_no_demonstrations(plan: Plan) -> None:
    assert started(plan, [3, 4]) == [*SHARED, *of_seed(3), *of_seed(4)]


def test_a_stage_1_that_is_given_is_not_made(plan: Plan) -> None:
    given = replace(plan, given=plan.out / "mine")
    assert started(given, [3]) == ["trainer demonstrate", *of_seed(3)]
    adapts = [words for words in commands(given, [3]) if words[1] == "adapt"]
    begun = [Path(words[words.index("--stage1") + 1]).name for words in adapts]
    assert begun == ["mine", "mine", "lift-3-stage1"]


def test_each_policy_begins_from_its_stage_1_with_the_numbers_that_are_asked_for(plan: Plan) -> None:
    adapts = [words for words in commands(plan, [3]) if words[1] == "adapt"]
    begun = [(words[words.index("--mode") + 1], words[words.index("--stage1") + 1]) for words in adapts]
    shared, own = f"{plan.out}/stage1", f"{plan.out}/lift-3-stage1"
    assert begun == [("normal", shared), ("decoupled", shared), ("decoupled", own)]
    for words in adapts:
        told = {words[i]: words[i + 1] for i in range(2, len(words)) if words[i].startswith("--")}
        assert (told["--steps"], told["--batch-size"], told["--seed"], told["--device"]) == ("20", "4", "3", "cuda")
    pretrained = [words[words.index("--steps") + 1] for words in commands(plan, [3]) if words[1] == "pretrain"]
    assert pretrained == ["30", "30"]


def test_all_take_over_the_networks_of_one_training_where_that_is_asked_for(plan: Plan) -> None:
    adapts = [words for words in commands(replace(plan, vision_steps=9), [3]) if words[1] == "adapt"]
    vision, *others = adapts
    out = str(plan.out / "lift-3-vision")
    assert [vision[vision.index(option) + 1] for option in ("--mode", "--steps", "--out")] == ["normal", "9", out]
    assert "--vision" not in vision
    assert [words[words.index("--vision") + 1] for words in others] == [out] * 3


def test_what_is_finished_is_not_trained_or_drawn_again(plan: Plan) -> None:
    finished = [plan.stage1("trajectories", 0).checkpoint(30), plan.stage1("copies", 3).checkpoint(30)]
    finished += [plan.run("normal", 3).checkpoint(20), plan.out / "lift-3.toml", plan.out / "lift-3.motions.parquet"]
    for file in finished:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    # The other commands see for themselves that they have nothing to do.
    left = ["services generate lift-3-copies.request.json", *POLICIES[1:]]
    assert started(plan, [3]) == [*SHARED[:2], *left]


def test_pictures_without_their_mapping_are_drawn_again(plan: Plan) -> None:
    plan.out.mkdir(parents=True)
    pictures = plan.out / "lift-3.hdf5"
    pictures.touch()
    assert "trainer render 3" in started(plan, [3])
    assert not pictures.exists()


def row(policy: str, outcomes: list[int], millimetres: float, seconds: float, stage1: Any = None) -> dict[str, Any]:
    error = {"position_mm": millimetres, "rotation_deg": 1.25, "gripper_accuracy": 0.75}
    told = {"policy": policy, "seed": 0, "outcomes": outcomes, "successes": sum(outcomes), "episodes": len(outcomes)}
    trained = {"action_error": error, "train_seconds": seconds, "checkpoint_step": 300, "multiplied": 0}
    return {**told, **trained, "stage1_training": stage1}


def test_the_table_has_the_interval_and_the_difference_to_normal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    stage1 = row("", [], 30.0, 7.0)
    results = [row("normal", [1, 1, 0, 0], 20.0, 10.0), row("copied", [1, 1, 1, 1], 15.0, 5.0, stage1)]
    kept = {"command": "python -m benchmarks.cameras", "machine": "a machine", "date": "2026-12-01", "results": results}
    (tmp_path / "lift.json").write_text(json.dumps(kept))
    monkeypatch.setattr(cameras, "KEPT", tmp_path)
    normal, copied = cameras_table()[-2:]
    assert normal == (
        "| `normal` | 0 | 2 of 4 | 50.0% (15.0% to 85.0%) | - | 20.0 mm, 1.25 deg, gripper 75.0% | - | -, 10 |"
    )
    assert copied == (
        "| `decoupled`, Stage 1 on copies | 0 | 4 of 4 | 100.0% (51.0% to 100.0%) | +50.0 points (+0.0 to +100.0) "
        "| 15.0 mm, 1.25 deg, gripper 75.0% | 300, 30.0 mm, 1.25 deg, gripper 75.0% | 7, 5 |"
    )
