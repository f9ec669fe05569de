"""Tensors and a JSON object in one safetensors file that appears whole or not at all. No pickle."""

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from shared.errors import CheckpointError, TrainingError

_KEY = "headstart"
_TYPES = {
    torch.bool: "BOOL", torch.uint8: "U8", torch.int8: "I8", torch.int16: "I16", torch.float16: "F16",
    torch.bfloat16: "BF16", torch.int32: "I32", torch.float32: "F32", torch.float64: "F64", torch.int64: "I64",
}  # fmt: skip
"""In safetensors' words, and its order: the files' last types come first."""


def pack(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> bytes:
    """The file's bytes: the same for the same contents, so that a hash of them names the contents."""
    return b"".join(pieces(tensors, metadata))


def pieces(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> list[bytes | memoryview]:
    """The file's bytes piece by piece, as safetensors' own `save` gives them.

    Its own would hold all of them in memory once more, and while it makes and writes them keep Python's lock, which
    the training beside it needs.
    """
    order = sorted(tensors, key=lambda name: (-list(_TYPES).index(tensors[name].dtype), name))
    # One metadata key: several have no fixed order.
    header: dict[str, Any] = {"__metadata__": {_KEY: json.dumps(metadata, sort_keys=True)}}
    end, parts = 0, list[bytes | memoryview]()
    for name in order:
        value = tensors[name].detach().cpu().contiguous()
        begin, end = end, end + value.nbytes
        header[name] = {"dtype": _TYPES[value.dtype], "shape": list(value.shape), "data_offsets": [begin, end]}
        parts.append(value.reshape(-1).view(torch.uint8).numpy().data)
    content = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    content += b" " * (-len(content) % 8)
    return [len(content).to_bytes(8, "little"), content, *parts]


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


def publish(path: Path, content: bytes | Iterable[bytes | memoryview]) -> None:
    """Writes beside `path`, flushes to disk, and renames into place."""
    with _part(path) as (part, file):
        file.writelines([content] if isinstance(content, bytes) else content)
        _settle(part, file, path)


def publish_by_hash(folder: Path, content: Iterable[bytes | memoryview]) -> str:
    """Publishes in `folder` as <sha256>.safetensors, unless it lies there, and returns the hash."""
    digest = hashlib.sha256()
    with _part(folder / "hashed") as (part, file):
        for piece in content:
            digest.update(piece)
            file.write(piece)
        path = folder / f"{digest.hexdigest()}.safetensors"
        if not path.exists():
            _settle(part, file, path)
    return digest.hexdigest()


@contextmanager
def _part(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A file beside `path` to be written and then settled; it is removed where it isn't."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield part, file
    finally:
        part.unlink(missing_ok=True)


def _settle(part: Path, file: BinaryIO, path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    os.replace(part, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Publishes tensors and metadata at `path`."""
    publish(path, pieces(tensors, metadata))


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


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata alone, empty where it has none of ours. Raises OSError or SafetensorError where it is damaged."""
    with safe_open(path, framework="pt") as file:
        metadata = json.loads((file.metadata() or {}).get(_KEY, "{}"))
    return metadata if isinstance(metadata, dict) else {}


def count_numbers(path: Path) -> int:
    """How many numbers the tensors of a file have together. Reads its header alone."""
    with safe_open(path, framework="pt") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118


def sha256(content: bytes) -> str:
    """The sha256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def fill(module: nn.Module, tensors: Mapping[str, Tensor], path: Path, there: Set[str] = frozenset()) -> None:
    """Copies tensors into a module that has exactly these, and those that are there already.

    Raises CheckpointError, naming the file they are of, where it has others.
    """
    wanted = {name: value.shape for name, value in module.state_dict().items() if name not in there}
    found = {name: value.shape for name, value in tensors.items()}
    different = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if different:
        name = different[0]
        raise CheckpointError(
            f"does not fit its head: '{name}' is {_shape(found.get(name))}, expected {_shape(wanted.get(name))}"
            f"{f' (and {len(different) - 1} more)' if len(different) > 1 else ''}; choose the head it was trained with",
            path,
        )
    module.load_state_dict(dict(tensors), strict=False)


def _shape(shape: torch.Size | None) -> str:
    return "missing" if shape is None else str(tuple(shape))
