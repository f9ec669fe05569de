"""`make train-decoupled PRESET=tiny` from start to report: a real service, a real Ray, HTTP, the simulator."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from shared.errors import HeadstartError
from tests import warm
from trainer.recipe.recipe import train_decoupled
from trainer.recipe.recipe_options import RecipeOptions
from trainer.recipe.report import RESULT_KEYS

SECONDS = 280


def _recipe(folder: Path, *more: str, engine: str = "process") -> "subprocess.Popen[str]":
    command = [warm.python("trainer"), "-m", "trainer", "train", "--preset", "tiny", "--parallel", "2"]
    command += ["--runs", str(folder / "runs"), "--store", str(folder / "data"), *more]
    environment = {name: value for name, value in os.environ.items() if name != "HEADSTART_URL"}
    environment |= {"COLUMNS": "250", "HEADSTART_ENGINE": engine}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def _finish(process: "subprocess.Popen[str]") -> tuple[int, str]:
    output, _ = process.communicate(timeout=SECONDS)
    return process.returncode, output


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.timeout(4 * SECONDS)
def test_interrupted_then_finished_then_run_on_own_data(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "tiny"
    # Ray is started once, which takes as long as a step does: what it made, the process engine goes on with.
    process = _recipe(tmp_path, engine="ray")
    deadline = time.monotonic() + SECONDS
    while not (run / "stage1" / "metrics.jsonl").exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    code, output = _finish(process)
    assert code == 130, output
    assert "the same command goes on from here" in output
    assert not (run / "report.md").exists()

    code, output = _finish(_recipe(tmp_path))
    assert code == 0, output
    report = json.loads((run / "report.json").read_text())
    _check_report(report)
    _check_dataset(tmp_path / "data", report["data"])
    text = (run / "report.md").read_text()
    assert "| lift | 4 | decoupled | " in text
    assert "| lift | 4 | normal | " in text.partition("## Motion")[2]
    assert "| lift | 4 + 64 copies | decoupled | " in text
    assert "- lift, 4 demonstrations, decoupled: with 64 copies against without: " in text
    for name in ("losses", "success", "seconds"):
        assert (run / "figures" / f"{name}.png").stat().st_size > 5000
    # Interrupted or not, Stage 1 made each of its steps once.
    steps = [line["step"] for line in _lines(run / "stage1" / "metrics.jsonl") if "loss" in line]
    assert steps == sorted(set(steps))
    assert steps[-1] == 20

    # Killed between the end of Stage 1 and the note on its data: the note is made up for.
    note = (run / "data.json").read_bytes()
    (run / "data.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.safetensors")}
    code, output = _finish(_recipe(tmp_path))
    assert code == 0, output
    assert output.count("done earlier") == 11
    # Everything is there: nothing is asked of the service but the note.
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*.safetensors")} == before
    assert (run / "data.json").read_bytes() == note

    own = ["--data", str(tmp_path / "data" / report["data"]["dataset_id"])]
    own += ["--demos", str(next((tmp_path / "data").rglob("*.hdf5")))]
    code, output = _finish(_recipe(tmp_path, *own))
    assert code == 0, output
    (folder,) = (path.parent for path in (tmp_path / "runs").rglob("report.json") if path.parent != run)
    again = json.loads((folder / "report.json").read_text())
    assert again["experts"] == []
    assert again["demos"]["count"] == 4
    # The same data, demonstrations and seeds: the same losses.
    assert [r["validation_loss"] for r in again["results"]] == [r["validation_loss"] for r in report["results"]]
    assert _losses(folder) == _losses(run)


def _losses(run: Path) -> dict[str, list[float]]:
    found = {path.parent.name: _lines(path) for path in run.rglob("metrics.jsonl")}
    return {name: [line["loss"] for line in lines if "loss" in line] for name, lines in found.items()}


def _check_report(report: dict[str, Any]) -> None:
    assert [(r["task"], r["mode"], r["episodes"]) for r in report["results"]] == [
        ("lift", "decoupled", 2),
        ("lift", "normal", 2),
        ("lift", "decoupled", 2),
    ]
    assert [result["multiplied"] for result in report["results"]] == [0, 0, 64]
    for result in report["results"]:
        assert set(RESULT_KEYS) <= set(result)
        assert len(result["outcomes"]) == 2
        assert result["successes"] == sum(result["outcomes"])
        assert result["demonstrations"] == 4
        # The motion of what was commanded, beside the demonstrations' own.
        assert 1 <= result["basis"] <= 16
        assert result["chunk_jerk_m_per_s3"] > 0
        assert 1 < result["demonstration_jerk_m_per_s3"] < 30
        assert result["border_jump_m"] > 0
    decoupled, normal, _ = report["results"]
    assert decoupled["basis"] == normal["basis"]
    assert decoupled["stage1"]["dataset_id"] == report["data"]["dataset_id"]
    assert normal["stage1"] is None
    # The frozen backbone is what decoupled does not train.
    assert decoupled["trained_parameters"] < normal["trained_parameters"]
    assert report["experts"][0]["successes"] >= 4


def _check_dataset(store: Path, data: dict[str, Any]) -> None:
    assert data["rows"] == 512
    assert data["attempts"] == 512 + sum(data["rejections"].values())
    manifests = {path.parent.name: json.loads(path.read_text()) for path in store.rglob("manifest.json")}
    # The trajectories, and the copies.
    assert [manifest["state"] for manifest in manifests.values()] == ["sealed"] * 2
    assert manifests[data["dataset_id"]]["totals"]["samples"] == data["samples"]


def _refusal(folder: Path, **options: Any) -> str:
    """What is wrong with a recipe: said before anything is started."""
    given: dict[str, Any] = {"preset": "tiny", "runs": folder / "runs", "store": folder / "data"}
    with pytest.raises(HeadstartError) as refused:
        train_decoupled(RecipeOptions(**given | options), Console())
    return str(refused.value)


def test_another_recipe_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "tiny"
    folder.mkdir(parents=True)
    (folder / "recipe.json").write_text("{}")
    assert "holds a run with other settings" in _refusal(tmp_path)


def test_a_wrong_preset_names_the_right_ones(tmp_path: Path) -> None:
    said = _refusal(tmp_path, preset="huge")
    assert "unknown preset 'huge'; choose one of quick, tiny, few, tasks, hundreds, cpu, paper" in said


def test_missing_data_and_demonstrations_are_named(tmp_path: Path) -> None:
    # As the command says it, too.
    code, output = _finish(_recipe(tmp_path, "--demos", str(tmp_path / "none.hdf5")))
    assert code == 2
    assert "none.hdf5" in output
