"""The recipe on a GPU: every training is told of it, and they take turns on it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

import pytest
import torch
from rich.console import Console

from shared.errors import ConfigError
from tests.trainer.example import make_dataset
from trainer.__main__ import main
from trainer.config import HeadConfig, HeadName
from trainer.recipe import recipe, step_runner
from trainer.recipe.recipe_options import RecipeOptions
from trainer.recipe.step_runner import Step


class _PlannedError(Exception):
    pass


def _planned(options: RecipeOptions, monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """The steps that a recipe would run."""
    planned: list[Step] = []

    def run_steps(steps: Sequence[Step], *arguments: Any) -> None:
        planned.extend(steps)
        raise _PlannedError

    with monkeypatch.context() as patch:
        patch.setattr(recipe, "run_steps", run_steps)
        patch.setattr(recipe, "choose_device", lambda name: torch.device("cpu" if name == "cpu" else f"{name}:0"))
        with pytest.raises(_PlannedError):
            recipe.train_decoupled(options, Console(quiet=True))
    return planned


def _pairs(step: Step) -> set[tuple[str, str]]:
    return set(zip(step.arguments, step.arguments[1:], strict=False))


@pytest.mark.parametrize("head", get_args(HeadName))
def test_the_papers_preset_of_every_head_is_for_the_gpu_alone(
    head: HeadName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(tmp_path / "data")
    options = RecipeOptions(
        "paper", str(tmp_path / "data"), None, tmp_path / "runs", head=head, device="cuda", precision="bf16",
        other_robot=True,
    )  # fmt: skip
    made = _planned(options, monkeypatch)
    trainings = [step for step in made if step.arguments[0] in ("pretrain", "adapt")]
    assert len(trainings) == 1 + 4 * 3
    for step in trainings:
        given = _pairs(step)
        assert {("--head", head), ("--size", "paper"), ("--device", "cuda"), ("--precision", "bf16")} <= given
        (conditioning,) = (value for name, value in given if name == "--conditioning")
        HeadConfig(head=head, conditioning=cast(Any, conditioning))
        # The whole, not the sample that there is without a GPU.
        assert given & {("--steps", "45000"), ("--steps", "79000")}
        assert step.alone_on == "cuda"
    assert {step.alone_on for step in made if step not in trainings} == {None}
    (folder,) = (tmp_path / "runs").iterdir()
    # What it was asked for is read back from its folder.
    assert RecipeOptions.read(folder) == replace(options, runs=RecipeOptions.runs)
    assert folder.name.startswith("paper-data" if head == "dp_mlp" else f"paper-{head}-data")
    named = "" if head == "dp_mlp" else f" HEAD={head}"
    assert recipe._command(options).startswith(f"make train-decoupled PRESET=paper{named} DEVICE=cuda PRECISION=bf16 ")
    on_cpu = _planned(
        RecipeOptions("paper", options.data, runs=tmp_path / "cpu", device="cpu", other_robot=True), monkeypatch
    )
    assert {step.alone_on for step in on_cpu} == {None}
    assert ("--steps", "20") in _pairs(on_cpu[0])


def test_what_needs_the_gpu_alone_waits_for_it(tmp_path: Path) -> None:
    made = [Step(name, (), tmp_path, alone_on=on) for name, on in (("a", "cuda"), ("b", "cuda"), ("c", None))]
    running: list[Any] = []
    started = []
    while step := step_runner._next(made, set(), running):
        started.append(step.name)
        running.append(type("Running", (), {"step": step})())
    assert started == ["a", "c"]
    assert step_runner._next(made, {"a"}, running[1:]) is made[1]


def test_another_run_of_a_recipe_begins_with_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = {"recipe": {"name": "few", "head": "dp_t"}, **RecipeOptions(device="cpu", resample=True).to_json()}
    (tmp_path / "recipe.json").write_text(json.dumps(recorded | {"demos": "own.hdf5"}))
    seen: list[RecipeOptions] = []
    monkeypatch.setattr(recipe, "train_decoupled", lambda options, console: seen.append(options))
    assert main(["train", "--config", str(tmp_path), "--device", "cuda", "--name", "again"]) == 0
    wanted = RecipeOptions("few", demos=Path("own.hdf5"), name="again", head="dp_t", device="cuda", resample=True)
    assert seen == [wanted]
    (tmp_path / "recipe.json").write_text(json.dumps(recorded | {"seeds": 3}))
    with pytest.raises(ConfigError, match=r"recipe\.json: the recipe has no option \['seeds'\]; it has \['data'"):
        RecipeOptions.read(tmp_path)
    with pytest.raises(ConfigError, match=r"nowhere can't be read as a recipe's recipe\.json"):
        RecipeOptions.read(tmp_path / "nowhere")


def test_a_bad_setting_is_named_before_anything_is_touched(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="head is 'dp_x'; it must be one of dp_mlp, dp_c"):
        RecipeOptions(head=cast(Any, "dp_x"))
    with pytest.raises(ConfigError, match="precision is 'fp8'; it must be one of auto, bf16, fp32"):
        RecipeOptions(precision=cast(Any, "fp8"))
    with pytest.raises(ConfigError, match="device 'cuda:9' can't be used here"):
        recipe.train_decoupled(RecipeOptions("paper", device="cuda:9", runs=tmp_path / "runs"), Console(quiet=True))
    assert not list(tmp_path.iterdir())
