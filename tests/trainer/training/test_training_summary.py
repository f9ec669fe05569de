"""What a run says of its training, also where it was fetched and has no settings."""

import json
import shutil
from pathlib import Path

import pytest

from shared.errors import ConfigError
from trainer.evaluation.results import evaluate
from trainer.progress import silent
from trainer.training.training_summary import training_summary


def test_a_fetched_run_says_what_its_checkpoint_tells(low_dim_run: Path, tmp_path: Path) -> None:
    whole = training_summary(low_dim_run)
    assert (whole["steps"], whole["checkpoint_step"], whole["seed"]) == (3, 3, 0)
    # What `fetch` writes.
    for name in ("checkpoints", "backbones"):
        shutil.copytree(low_dim_run / name, tmp_path / name)
    fetched = training_summary(tmp_path)
    told = {"demonstrations", "multiplied", "seed", "steps", "threads", "batch_size"}
    assert {name for name in told if fetched[name] is None} == told
    assert list(fetched) == list(whole)
    same = whole.keys() - told - {"validation_loss", "action_error"}
    assert {name: fetched[name] for name in same} == {name: whole[name] for name in same}


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"config": {}, "data": {}})])
def test_damaged_settings_are_refused_before_an_environment_begins(
    content: str, low_dim_run: Path, tmp_path: Path
) -> None:
    for name in ("checkpoints", "backbones"):
        shutil.copytree(low_dim_run / name, tmp_path / name)
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConfigError, match="can't be read as the settings of a run"):
        evaluate(tmp_path, "no_such_task", 1, 0, silent)
