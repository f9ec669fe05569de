"""Tensors and a JSON object in one safetensors file that appears whole or not at all. No pickle."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from shared.errors import CheckpointError, TrainingError

_KEY = "headstart"


def pack(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> bytes:
    """The file's bytes: the same for the same contents, so that a hash of them names the contents."""
    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    # One metadata key: safetensors writes several in an order that changes from run to run.
    return save(contiguous, metadata={_KEY: json.dumps(metadata, sort_keys=True)})


def require_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raises TrainingError where one holds a number that is not finite, so that nothing is published at `path`."""
    found = [value.isfinite().all() for value in tensors.values()]
    # One reading for all of them: each makes a GPU wait.
    finite = torch.stack(found).tolist() if found else []
    bad = [name for name, good in zip(tensors, finite, strict=True) if not good]
    if bad:
        raise TrainingError(
            f"'{bad[0]}' holds numbers that are not finite, so {path} was not written; lower the learning rate"
        )


def publish(path: Path, content: bytes) -> None:
    """Writes beside `path`, flushes to disk, and renames into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Publishes tensors and metadata at `path`."""
    publish(path, pack(tensors, metadata))


def read(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a file whose metadata says that it is a `kind`.

    Raises:
        CheckpointError: it is missing, damaged, or something else. Says what to do.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no such {kind}; give the path of a .safetensors file", path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get(_KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"is not a whole safetensors file ({error}); restore it or train again", path) from error
    if not isinstance(metadata, dict) or metadata.get("kind") != kind:
        found = metadata.get("kind") if isinstance(metadata, dict) else "a file of another program"
        raise CheckpointError(f"is {found}, not a {kind}; give one that `python -m trainer` wrote", path)
    return tensors, metadata


def count_numbers(path: Path) -> int:
    """How many numbers the tensors of a file have together. Reads its header alone."""
    with safe_open(path, framework="pt") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118


def sha256(content: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(content).hexdigest()
