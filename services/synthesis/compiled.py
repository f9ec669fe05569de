"""How the inner loops are compiled, and where the compiled code is kept between runs."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compiles a function of numbers and arrays to machine code when it is first called.

    Loops rather than assignments of whole slices keep compilation short (15 s of CPU for everything, once).
    No fast-math and no fused multiply-add: a result never depends on which lanes of a vector register a value
    was in, so rows don't depend on the batch they are made in.
    """
    return cast(Function, numba.njit(cache=True, fastmath=False, error_model="numpy")(function))


def inlined(function: Function) -> Function:
    """Compiles a small function into each of its callers, so that their loops can be vectorized."""
    return cast(Function, numba.njit(inline="always", fastmath=False, error_model="numpy")(function))


def _choose_cache_folder() -> None:
    """Sends the cache elsewhere if neither the package's folder nor the user's cache folder can be written.

    Numba looks at NUMBA_CACHE_DIR, then __pycache__, then the user's cache folder, and raises when all fail, as in a
    container with a read-only file system and no home. The last resort is a folder of this process alone: the cache
    holds machine code, so it must never be a shared folder that another user could have filled.
    """
    config: Any = numba.config
    if config.CACHE_DIR:
        return
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    if not any(_can_write(folder) for folder in (Path(__file__).parent, user_cache)):
        config.CACHE_DIR = tempfile.mkdtemp(prefix="headstart-numba-")


def _can_write(folder: Path) -> bool:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return os.access(existing, os.W_OK)


_choose_cache_folder()
