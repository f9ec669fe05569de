"""The folder of a recipe's run: one recipe, one process at a time."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.errors import ConfigError
from trainer.tensor_file import publish


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Holds a run's folder, so that a second run of it does not write into the same files.

    The steps inherit the lock: it is held as long as any of them lives, whatever became of this process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(descriptor, True)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        message = f"{folder}: another run of this recipe is using it; wait for it, or give another --name"
        raise ConfigError(message) from error
    else:
        yield
    finally:
        os.close(descriptor)


def keep_same(folder: Path, settings: Mapping[str, Any]) -> None:
    """Writes recipe.json, or refuses to mix two recipes in one folder. Raises ConfigError."""
    wanted = json.loads(json.dumps(settings))
    path = folder / "recipe.json"
    if path.exists():
        if json.loads(path.read_text()) != wanted:
            raise ConfigError(
                f"{folder} holds a run with other settings; give another name (python -m trainer train --name NAME), "
                "or remove the folder to start over"
            )
        return
    publish(path, json.dumps(wanted, indent=1).encode())
