import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from shared.errors import CheckpointError
from trainer import tensor_file


def test_round_trip_and_the_same_bytes(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(6.0).reshape(2, 3).t(), "a": torch.tensor([1, 2])}
    metadata = {"kind": "thing", "z": [1, 2], "a": {"b": None}}
    tensor_file.write(tmp_path / "new" / "x.safetensors", tensors, metadata)
    read, found = tensor_file.read(tmp_path / "new" / "x.safetensors", "thing")
    assert found == metadata
    assert torch.equal(read["b"], tensors["b"])
    assert torch.equal(read["a"], tensors["a"])
    packed = {tensor_file.pack(dict(reversed(tensors.items())), dict(reversed(metadata.items()))) for _ in range(3)}
    assert packed == {(tmp_path / "new" / "x.safetensors").read_bytes()}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.safetensors"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    tensor_file.publish(path, b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        tensor_file.publish(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(CheckpointError, match=r"x\.safetensors: there is no such thing"):
        tensor_file.read(path, "thing")
    path.write_bytes(b"\x93NUMPY not a checkpoint")
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        tensor_file.read(path, "thing")
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="a file of another program, not a thing"):
        tensor_file.read(path, "thing")
    save_file({"a": torch.zeros(1)}, path, {"headstart": json.dumps({"kind": "backbone"})})
    with pytest.raises(CheckpointError, match="is backbone, not a thing"):
        tensor_file.read(path, "thing")
