"""config.json of a run, read back: the settings of either stage as another run's, or as this release has them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from shared.errors import ConfigError
from trainer.config import AdaptConfig, PretrainConfig, from_json, to_json

Stage = Literal[1, 2]
_CONFIGS: dict[Stage, type[PretrainConfig] | type[AdaptConfig]] = {1: PretrainConfig, 2: AdaptConfig}
_COMMANDS = {1: "pretrain", 2: "adapt"}


def read_config(path: Path, stage: Stage) -> tuple[PretrainConfig | AdaptConfig, list[str]]:
    """Every setting of a run, from its config.json or its folder.

    Returns:
        The settings, and the names of those that the file does not have, which are at their defaults.

    Raises:
        ConfigError: it can't be read, is of the other stage, or has a setting that this release does not know, or
            a value that is not allowed; names it.
    """
    path = path / "config.json" if path.is_dir() else path
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} can't be read as a run's config.json: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise ConfigError(f"{path} is no run's config.json: it has no object 'config'; give one that a run has written")
    if content.get("stage") != stage:
        raise ConfigError(
            f"{path} is of stage {content.get('stage')}; give {_COMMANDS[stage]} one that it has written itself"
        )
    try:
        config = from_json(_CONFIGS[stage], content["config"])
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return config, sorted(_names(to_json(config)) - _names(content["config"]))


def with_defaults(config: Mapping[str, Any], stage: Stage) -> dict[str, Any]:
    """Settings of a run, with those that have come since at their defaults, which change nothing."""
    return _filled(config, to_json(_CONFIGS[stage]()))


def _filled(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    filled = {**defaults, **config}
    return {
        name: _filled(value, defaults[name]) if isinstance(value, Mapping) and name in defaults else value
        for name, value in filled.items()
    }


def _names(config: Mapping[str, Any]) -> set[str]:
    """Names of all settings, without the groups that they are in."""
    inner = [_names(value) for value in config.values() if isinstance(value, Mapping)]
    return {name for name, value in config.items() if not isinstance(value, Mapping)}.union(*inner)
