"""How the policies of a server are called."""

from collections.abc import Iterable
from pathlib import Path

from shared.errors import ConfigError

NAME_CHARACTERS = 100
"""Most characters of the name of a policy, or of a session."""


def named_paths(given: Iterable[str]) -> dict[str, Path]:
    """Each policy's name and path, in order.

    Args:
        given: paths of run folders or checkpoints, whose names are those of the runs, or NAME=PATH.

    Raises:
        ConfigError: a name is empty or too long, or two policies have the same.
    """
    paths: dict[str, Path] = {}
    for text in given:
        name, path = _split(text)
        if not 0 < len(name) <= NAME_CHARACTERS:
            raise ConfigError(f"{text!r}: a policy's name has 1 to {NAME_CHARACTERS} characters; give it as NAME=PATH")
        if name in paths:
            raise ConfigError(
                f"two policies are called {name!r}: {paths[name]} and {path}; call one otherwise, as in other={path}"
            )
        paths[name] = path
    return paths


def _split(text: str) -> tuple[str, Path]:
    name, equals, rest = text.partition("=")
    # A path may have an equals sign of its own.
    if equals and "/" not in name and not Path(text).exists():
        return name, Path(rest)
    path = Path(text).absolute()
    if path.suffix != ".safetensors":
        return path.name, Path(text)
    return (path.parent.parent.name if path.parent.name == "checkpoints" else path.stem), Path(text)
