"""--config: a run begins with every setting of another one, as its config.json has them."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ConfigError
from tests.pages import commands
from tests.trainer.data.demonstrations.written import LIFT, unpack_lift
from tests.trainer.example import make_dataset, training
from trainer.__main__ import main
from trainer.config import AdaptConfig, HeadConfig, PretrainConfig, from_json, to_json
from trainer.json_lines import read_lines
from trainer.run_config import read_config
from trainer.stages.pretrain import pretrain

OTHERS = replace(
    PretrainConfig(),
    head=HeadConfig(head="dp_t", size="tiny", conditioning="prefix", dropout=0.1, horizon=12, n_action_steps=4),
    training=training(
        4, log_every=1, learning_rate=3e-4, betas=(0.8, 0.95), schedule="linear", warmup_steps=2, accumulate=2, seed=7,
        threads=1,
    ),
    condition="endpoints",
    validation_share=0.3,
    validation_windows=4,
)  # fmt: skip
"""Settings of which many are not the defaults."""


def losses(run: Path) -> list[float]:
    return [line["loss"] for line in read_lines(run / "metrics.jsonl") if "loss" in line]


def settings(run: Path) -> dict[str, Any]:
    content: dict[str, dict[str, Any]] = json.loads((run / "config.json").read_text())
    return content["config"]


def test_a_run_begun_with_its_own_config_has_the_same_losses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_dataset(tmp_path / "data")
    pretrain(tmp_path / "first", data, OTHERS)
    command = ["pretrain", "--data", str(data.root)]
    # The settings name the file or the folder that has it; a flag wins over it, wherever it stands.
    again = [*command, f"--config={tmp_path / 'first' / 'config.json'}", "--out", str(tmp_path / "again")]
    assert main(again) == 0
    assert settings(tmp_path / "again") == settings(tmp_path / "first") == to_json(OTHERS)
    assert losses(tmp_path / "again") == losses(tmp_path / "first")
    assert len(losses(tmp_path / "again")) == 4
    flags = ["--seed", "8", "--config", str(tmp_path / "first"), "--out", str(tmp_path / "other"), "--steps", "3"]
    assert main([*command, *flags]) == 0
    changed = replace(OTHERS, training=replace(OTHERS.training, seed=8, steps=3))
    assert settings(tmp_path / "other") == to_json(changed)
    assert losses(tmp_path / "other") != losses(tmp_path / "first")[:3]
    # Nothing but progress, which is said as time goes by.
    assert [line for line in capsys.readouterr().err.splitlines() if not line.startswith("pretrain: ")] == []


def test_stage_2_too_whose_data_are_given_anew(tmp_path: Path) -> None:
    unpack_lift(tmp_path)
    (tmp_path / "mapping.json").write_text(json.dumps(LIFT))
    wide = {"position": {"min": [-2.0] * 3, "max": [2.0] * 3}}
    (tmp_path / "range.json").write_text(json.dumps(wide))
    data = f"--demos {tmp_path}/lift.hdf5 --mapping {tmp_path}/mapping.json --action-range {tmp_path}/range.json"
    given = "--mode random_body --size tiny --steps 3 --batch-size 4 --observation-noise 0.1 --observation-scaling"
    given += " standard --log-every 1 --no-tensorboard --compile off --device cpu --precision fp32 --threads 1"
    assert main(f"adapt {data} {given} --out {tmp_path}/first".split()) == 0
    assert main(f"adapt {data} --config {tmp_path}/first --out {tmp_path}/again".split()) == 0
    assert settings(tmp_path / "again") == settings(tmp_path / "first")
    assert settings(tmp_path / "again")["observation_noise"] == 0.1
    assert losses(tmp_path / "again") == losses(tmp_path / "first")


def written(path: Path, config: Any, stage: int = 1) -> Path:
    path.write_text(json.dumps({"stage": stage, "config": config, "data": {}}))
    return path


def test_unknown_missing_and_bad_settings_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, known = tmp_path / "config.json", to_json(OTHERS)

    def refused(message: str) -> None:
        assert main(["pretrain", "--data", "nowhere", "--out", str(tmp_path / "run"), "--config", str(file)]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert str(file) in said
        assert "Traceback" not in said

    refused("can't be read as a run's config.json: [Errno 2] No such file")
    file.write_text("{")
    refused("can't be read as a run's config.json")
    file.write_text("[]")
    refused("is no run's config.json: it has no object 'config'")
    written(file, known, stage=2)
    refused("is of stage 2; give pretrain one that it has written itself")
    written(file, known | {"momentum": 0.9})
    refused("PretrainConfig has no setting ['momentum']; it has ['condition', 'directions',")
    for name, value, message in (
        ("steps", None, "steps is null; it must have a value"),
        ("steps", "10", "steps is '10'; it must be an integer"),
        ("deterministic", "yes", "deterministic is 'yes'; it must be true or false"),
        ("device", 3, "device is 3; it must be text"),
        ("schedule", "step", "schedule is 'step'; it must be one of cosine, linear, constant"),
        ("betas", 0.9, "betas is 0.9; it must be 2 numbers"),
        ("gamma", 1, "TrainingConfig has no setting ['gamma']"),
    ):
        written(file, known | {"training": known["training"] | {name: value}})
        refused(message)
    written(file, known | {"training": 5})
    refused("TrainingConfig is 5; it must be an object of settings")
    assert not (tmp_path / "run").exists()


def test_what_an_older_file_does_not_say_is_at_its_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = to_json(OTHERS)
    older = known | {"training": {n: v for n, v in known["training"].items() if n not in ("accumulate", "schedule")}}
    config, missing = read_config(written(tmp_path / "config.json", older), 1)
    assert missing == ["accumulate", "schedule"]
    assert config == replace(OTHERS, training=replace(OTHERS.training, accumulate=1, schedule="cosine"))
    arguments = ["pretrain", "--data", "nowhere", "--out", str(tmp_path / "run"), "--config", str(tmp_path)]
    assert main(arguments) == 2
    assert f"{tmp_path} does not say accumulate, schedule: taken at their defaults" in capsys.readouterr().err


def test_an_older_run_is_gone_on_with(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data")
    config = replace(OTHERS, training=replace(OTHERS.training, accumulate=1, schedule="cosine"))
    pretrain(tmp_path / "whole", data, config)
    run = tmp_path / "run"
    pretrain(run, data, replace(config, training=replace(config.training, steps=2)))
    content = json.loads((run / "config.json").read_text())
    for name in ("accumulate", "schedule", "vision_learning_rate", "wandb"):
        del content["config"]["training"][name]
    (run / "config.json").write_text(json.dumps(content))
    pretrain(run, data, config)
    assert len(losses(run)) == 4
    with pytest.raises(ConfigError, match=r"config\.training\.schedule is linear, there it is cosine"):
        pretrain(run, data, replace(config, training=replace(config.training, schedule="linear")))


def test_what_is_read_is_what_was_written() -> None:
    for config in (OTHERS, AdaptConfig("normal", OTHERS.head, OTHERS.training)):
        assert from_json(type(config), to_json(config)) == config


def test_the_pages_command_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pretrain(tmp_path / "runs/my-stage1", make_dataset(tmp_path / "data/my-trajectories"), OTHERS)
    (command,) = commands("docs/training.md")
    program, *arguments = shlex.split(command.removeprefix(".venv/bin/python -m "))
    assert program == "trainer"
    assert main(arguments) == 0
    begun = replace(OTHERS, training=replace(OTHERS.training, seed=1))
    assert settings(tmp_path / "runs/my-stage1-1") == to_json(begun)
