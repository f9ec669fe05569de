"""Which policies of a run are kept: the last ones, and the best by its held-out error."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from trainer import tensor_file
from trainer.training.run_folder import RunFolder

_ERRORS = ("position_mm", "joint_rad")
"""Of held-out windows, whichever the actions have: what policies of a run are compared by."""


def held_out_error(measured: Mapping[str, float] | None) -> float | None:
    """What is compared of the held-out measurements; None where there are none."""
    found = [measured[name] for name in _ERRORS if name in measured] if measured else []
    return found[0] if found else None


def best_policy(folder: RunFolder) -> Path | None:
    """The policy with the least held-out error among those that are there; None where none was measured."""
    errors = {path: held_out_error(_metadata(path).get("held_out")) for path in folder.policies()}
    measured = {path: error for path, error in errors.items() if error is not None}
    return min(measured, key=measured.__getitem__, default=None)


def remove_others(folder: RunFolder, last: int) -> None:
    """Removes all policies but the `last` ones and the best, and the backbones that none of those left names."""
    policies = folder.policies()
    best = best_policy(folder)
    removed = [path for path in policies[:-last] if path != best]
    if not removed:
        return
    named = {str(_metadata(path).get("backbone")) for path in policies if path not in removed}
    gone = {str(_metadata(path).get("backbone")) for path in removed} - named
    for path in removed:
        path.unlink()
    # After the policies: one must never name what is not there.
    for name in gone:
        (folder.backbones / f"{name}.safetensors").unlink(missing_ok=True)


def _metadata(path: Path) -> dict[str, Any]:
    try:
        return tensor_file.read_metadata(path)
    except (OSError, SafetensorError, ValueError):
        # Loading it says what is wrong with it.
        return {}
