"""What `--action-range` names."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shared.errors import ConfigError
from trainer.data.action import POSITION, ActionRange, range_of


def of_demonstrations(path: Path | None) -> bool:
    """Whether `--action-range` names demonstrations, and neither JSON nor a dataset."""
    return path is not None and path.suffix != ".json" and not (path / "dataset.json").is_file()


def check_mapping_of_range(mappings: Sequence[Path], path: Path | None) -> None:
    """Raises ConfigError where `--action-range` names demonstrations, and nothing says which mapping is theirs."""
    if len(mappings) > 1 and of_demonstrations(path):
        raise ConfigError("with a --mapping for each of --demos, give --action-range as JSON, or leave it out")


def read_action_range(path: Path | None, mapping: Path | None = None) -> ActionRange | None:
    """The range in JSON ({"position": {"min": [3], "max": [3]}}), a dataset or demonstrations; None if none is given.

    The range of demonstrations is widened by 0.05 m or rad a side, for what a policy does beyond them.
    """
    if path is None:
        return None
    if (path / "dataset.json").is_file():
        path = path / "dataset.json"
    if of_demonstrations(path):
        # Here: their readers take half a second to import, which pretraining without demonstrations does not need.
        from trainer.data.demonstrations import read_demonstrations
        from trainer.data.demonstrations.mapping.mapping_file import read_mapping

        meaning = read_mapping(mapping) if mapping else None
        demonstrations = read_demonstrations(path, mapping=meaning, pictures=False)
        joints = "joint_position", slice(None, -1)
        name, numbers = joints if demonstrations.action_space == "joint_position" else ("position", POSITION)
        values = np.concatenate([episode.actions[:, numbers] for episode in demonstrations.episodes])
        return {name: range_of(values)}
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: can't be read as an action range: {error}") from error
    ranges: ActionRange = content.get("action_range", content) if isinstance(content, dict) else content
    return ranges
