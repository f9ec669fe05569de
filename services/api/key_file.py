"""Files that hold keys, one a line."""

import os
import secrets
from pathlib import Path

from shared.errors import ConfigError


def read_or_make_keys(path: Path, what: str) -> tuple[str, ...]:
    """The keys in a file, which is made, with a random one, if it is missing.

    Raises:
        ConfigError: it can't be read or made, or is empty; `what` is what the message calls it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            keys = tuple(line.strip() for line in path.read_text().splitlines() if line.strip())
        else:
            keys = (secrets.token_urlsafe(32),)
            with os.fdopen(descriptor, "w") as file:
                file.write(keys[0] + "\n")
    except (OSError, ValueError) as error:
        raise ConfigError(f"the {what} file {path} can't be used: {error}") from None
    if not keys:
        raise ConfigError(f"the {what} file {path} is empty; delete it, and one is made")
    return keys
