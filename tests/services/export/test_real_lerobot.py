"""Exports opened by the real lerobot, in an environment of its own: `make test-lerobot LEROBOT_PYTHON=...`."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from services.export import ACTION_LABELS, ACTIONS, Content, export_dataset
from shared.dataset import Dataset

CHECK = Path(__file__).with_name("lerobot_check.py")


@pytest.mark.lerobot
@pytest.mark.parametrize("label", ACTION_LABELS)
@pytest.mark.parametrize("kind", ACTIONS)
def test_lerobot_reads_what_was_exported(reference: Dataset, tmp_path: Path, kind: str, label: str) -> None:
    """LEROBOT_LAYOUT is the layout that this lerobot reads: lerobot-v2.1 up to 0.3, lerobot-v3 from 0.4 on."""
    layout = os.environ["LEROBOT_LAYOUT"]
    export_dataset(reference, tmp_path / "out", layout, Content(reference.header, kind, label))  # type: ignore[arg-type]
    command = [os.environ["LEROBOT_PYTHON"], str(CHECK), reference.where, str(tmp_path / "out"), kind, label]
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment |= {name: value for name, value in os.environ.items() if name == "PYTHONPATH"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["steps"] == sum(commit.samples for commit in reference.commits())
