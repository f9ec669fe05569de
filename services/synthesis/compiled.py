"""How the inner loops are compiled, and where the compiled code is kept between runs."""

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[1]
_PREFIX, _KEPT = "numba-", 4
"""What the cache's folders begin with, and how many of them are kept, each some 5 MB."""


def compiled(function: Function) -> Function:
    """Compiles a function of numbers and arrays to machine code when it is first called.

    Loops rather than assignments of whole slices keep compilation short (15 s of CPU for everything, once).
    No fast-math and no fused multiply-add: a result never depends on which lanes of a vector register a value
    was in, so rows don't depend on the batch they are made in.
    """
    with _cached_in(cache_folder()):
        return cast(Function, numba.njit(cache=True, fastmath=False, error_model="numpy")(function))


def inlined(function: Function) -> Function:
    """Compiles a small function into each of its callers, so that their loops can be vectorized."""
    return cast(Function, numba.njit(inline="always", fastmath=False, error_model="numpy")(function))


@contextlib.contextmanager
def _cached_in(folder: Path) -> Iterator[None]:
    """Functions that are decorated meanwhile are cached there; other packages' are where they would be anyway."""
    config: Any = numba.config
    before, config.CACHE_DIR = config.CACHE_DIR, str(folder)
    try:
        yield
    finally:
        config.CACHE_DIR = before


@functools.cache
def cache_folder() -> Path:
    """Where compiled code is kept: a folder named by everything that the code was made from.

    Numba itself looks at a function's own file only, and would run code that was made from a constant or a function
    of another file as it was before. The folder lies in NUMBA_CACHE_DIR if that is set, else in __pycache__, else in
    the user's cache folder. The last resort, as in a container with a read-only file system and no home, is a folder of
    this process alone: the cache holds machine code, so it must never be a shared folder that another user could have
    filled.
    """
    config: Any = numba.config
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    places = [_HERE / "__pycache__", user_cache / "headstart"]
    parents = [Path(config.CACHE_DIR)] if config.CACHE_DIR else [place for place in places if _can_write(place)]
    parent = parents[0] if parents else Path(tempfile.mkdtemp(prefix="headstart-numba-"))
    folder = parent / (_PREFIX + made_from_sha256()[:16])
    if not folder.exists():
        _remove_oldest(parent)
    return folder


def made_from_sha256() -> str:
    """Hash of the sources that compiled code can be made from, and of the versions of what compiles it."""
    versions = [sys.version, *map(importlib.metadata.version, ("numba", "llvmlite", "numpy"))]
    digest = hashlib.sha256(json.dumps(versions).encode())
    # Constants of `shared` are compiled into functions of synthesis.
    for package in (_HERE, _ROOT / "shared"):
        for path in sorted(package.rglob("*.py")):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(_ROOT)} {content}\n".encode())
    return digest.hexdigest()


def _remove_oldest(parent: Path) -> None:
    """The last few folders of other sources stay, so that going back and forth between two compiles neither again."""
    known = sorted(parent.glob(_PREFIX + "*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in known[_KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)


def _can_write(folder: Path) -> bool:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return os.access(existing, os.W_OK)
