"""Where an export is written: beside its name, until it is whole."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import ConfigError, DatasetError


@contextmanager
def whole_or_nothing(out: Path) -> Iterator[Path]:
    """Gives a path to write a file or folder to; if the block succeeds, it appears at `out`, whole.

    Until then it is called `.NAME.part`, beside `out`. What a killed export left there is removed by the next one.

    Raises:
        ConfigError: `out` is taken, or another export to it is running.
        DatasetError: the folder it lies in can't be written.
    """
    part = out.with_name(f".{out.name}.part")
    lock = out.with_name(f".{out.name}.lock")
    if out.exists():
        raise ConfigError(f"{out} is there already; give --out another name, or remove it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigError(f"another export to {out} is running; wait for it, or end it") from None
            if os.fstat(held.fileno()).st_nlink == 0 or out.exists():
                raise ConfigError(f"another export to {out} has just ended; look at it, or try again")
            try:
                _remove(part)
                yield part
                # Everything is on the disk before its name is.
                os.sync()
                os.rename(part, out)
            finally:
                _remove(part)
                lock.unlink(missing_ok=True)
    except OSError as error:
        raise DatasetError(f"the export failed, and nothing of it is left: {error.strerror or error}", out) from error


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
