"""--wandb: the metrics by the real client of Weights & Biases, which keeps them where it has no network."""

import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ConfigError
from tests.pages import ROOT
from tests.trainer.example import make_dataset, training
from trainer.config import HeadConfig, PretrainConfig
from trainer.json_lines import read_lines
from trainer.stages.pretrain import pretrain

CONFIG = PretrainConfig(
    HeadConfig(size="tiny"), training(6, log_every=2, checkpoint_every=4, wandb=True), validation_share=0.3,
    validation_windows=4,
)  # fmt: skip
SCRIPT = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from shared.dataset import Dataset
from tests.trainer.training.test_wandb import CONFIG
from trainer.stages.pretrain import pretrain
from trainer.training.loop import TrainingLoop

data, run = Dataset(Path(sys.argv[1])), Path(sys.argv[2])
stop, step = int(sys.argv[3]), TrainingLoop.gradient_step

def stopped(loop, batch):
    if loop.step == stop:
        signal.raise_signal(signal.SIGTERM)
    return step(loop, batch)

TrainingLoop.gradient_step = stopped
try:
    pretrain(run, data, CONFIG)
except KeyboardInterrupt:
    print("stopped")
plain = run.with_name("plain")
pretrain(plain, data, replace(CONFIG, training=replace(CONFIG.training, wandb=False, steps=1)))
"""


def records(file: Path) -> list[Any]:
    """What the client wrote for its server, read by its own classes."""
    # By name: neither has types.
    record_type = importlib.import_module("wandb.proto.wandb_internal_pb2").Record
    store: Any = importlib.import_module("wandb.sdk.internal.datastore").DataStore()
    found = []
    store.open_for_scan(str(file))
    while (content := store.scan_data()) is not None:
        record = record_type()
        record.ParseFromString(content)
        found.append(record)
    store.close()
    return found


def history(file: Path) -> dict[int, dict[str, float]]:
    """Every step's numbers, but for the client's own."""
    steps = {}
    for record in records(file):
        if record.WhichOneof("record_type") == "history":
            items = {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            steps[int(items["_step"])] = {name: value for name, value in items.items() if not name.startswith("_")}
    return steps


def expected(run: Path) -> dict[int, dict[str, float]]:
    """The scalars of metrics.jsonl."""
    steps: dict[int, dict[str, float]] = {}
    for line in read_lines(run / "metrics.jsonl"):
        scalars = {name: value for name, value in line.items() if name != "step" and isinstance(value, int | float)}
        steps.setdefault(line["step"], {}).update(scalars)
    return steps


def test_the_client_has_the_metrics_of_a_run_and_of_its_resumption(tmp_path: Path) -> None:
    data, run = make_dataset(tmp_path / "data"), tmp_path / "run"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    # Whatever it sends would be refused.
    environment |= {"WANDB_MODE": "offline", "PYTHONPATH": str(ROOT), "HTTPS_PROXY": "http://127.0.0.1:9"}
    for stop, said in ((3, "stopped\n"), (-1, "")):
        arguments = [sys.executable, "-c", SCRIPT, str(data.root), str(run), str(stop)]
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, cwd=tmp_path, timeout=240)
        assert (done.returncode, done.stdout) == (0, said), done.stderr
    first, second = sorted((run / "wandb").glob("offline-run-*/run-*.wandb"))
    assert first.name == second.name == f"run-{(run / 'wandb-id').read_text()}.wandb"
    found, whole = history(first) | history(second), expected(run)
    # Each step is in one of the two.
    assert sorted([*history(first), *history(second)]) == [2, 4, 6]
    assert {"loss", "learning_rate", "validation_loss", "position_mm"} <= found[4].keys()
    assert found[2]["loss"] == whole[2]["loss"]
    assert {step: found[step] for step in (4, 6)} == {step: whole[step] for step in (4, 6)}
    # The settings, and nothing of the machine.
    (begun,) = [record.run for record in records(first) if record.WhichOneof("record_type") == "run"]
    config = {".".join(item.nested_key) or item.key: item.value_json for item in begun.config.update}
    assert json.loads(config["config"]) == json.loads((run / "config.json").read_text())["config"]
    assert (begun.project, begun.display_name, begun.host) == ("headstart", "run", "")
    kinds = {record.WhichOneof("record_type") for record in records(first)}
    assert not kinds & {"environment", "output", "output_raw", "stats", "tbrecord"}
    assert not list(run.rglob("requirements.txt"))
    # Without the flag there is nothing of it.
    assert not list((tmp_path / "plain").glob("wandb*"))


def test_without_the_package_it_is_refused_before_anything_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    data = make_dataset(tmp_path / "data")
    with pytest.raises(ConfigError, match=r"--wandb needs the package 'wandb', which is not installed: pip install"):
        pretrain(tmp_path / "run", data, CONFIG)
    assert not (tmp_path / "run").exists()
    pretrain(tmp_path / "run", data, replace(CONFIG, training=replace(CONFIG.training, wandb=False)))
