"""What docs/data-format.md says of other readers, run as it stands, where they are installed."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pytest

from tests.pages import blocks
from tests.shared.example import HEADER, example_table
from tests.trainer.example import make_dataset


@pytest.fixture
def shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shards of the dataset that the page reads, from the working directory."""
    make_dataset(tmp_path / "data" / "example")
    monkeypatch.chdir(tmp_path)
    return Path("data/example/shards")


def expected() -> dict[str, list[Any]]:
    """Columns of all rows, in their order."""
    tables = [example_table(index, HEADER.rows_in(index)) for index in range(HEADER.shards)]
    names = ["trajectory_id", "length", "joint_position"]
    return pyarrow.concat_tables(tables).select(names).to_pydict()  # type: ignore[no-any-return]


def block(word: str) -> str:
    """The page's block that has a word in it."""
    (found,) = (text for text in blocks("docs/data-format.md", "python") if word in text)
    return found


def test_names_of_shards_are_in_the_order_of_their_rows(shards: Path) -> None:
    files = sorted(map(str, shards.iterdir()))
    assert len(files) == HEADER.shards
    table = pyarrow.dataset.dataset(files).to_table(columns=list(expected()))
    assert table.to_pydict() == expected()


def test_hugging_face_datasets_reads_the_rows(shards: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    names: dict[str, Any] = {}
    exec(compile(block("load_dataset"), "data-format.md", "exec"), names)
    rows = list(names["rows"])
    assert {name: [row[name] for row in rows] for name in expected()} == expected()


# A Ray of its own, on loopback, as that of the service is (services/engine/ray_driver.py).
_BEFORE = """
import json, ray
ray.init(address="local", num_cpus=1, include_dashboard=False, object_store_memory=100_000_000,
         log_to_driver=False, logging_level="warning", _node_ip_address="127.0.0.2")
"""
_AFTER = """
taken = rows.take_all()
print(json.dumps({name: [row[name] for row in taken] for name in rows.columns()}))
"""


@pytest.mark.timeout(600)
def test_ray_data_reads_the_rows(shards: Path) -> None:
    guarded = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    done = subprocess.run(
        [sys.executable, "-c", _BEFORE + block("read_parquet") + _AFTER],
        env={**os.environ, **guarded},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == expected()
