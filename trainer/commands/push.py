"""`python -m trainer push`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from shared.errors import ConfigError

if TYPE_CHECKING:
    from trainer.training.checkpoint_info import CheckpointInfo


def run(
    checkpoint: Positional[Path],
    repository: Positional[str],
    license_name: Annotated[str, arg(name="license")],
    private: bool = False,
    audit: Path | None = None,
    report: Path | None = None,
) -> None:
    """Publish a policy or a pretrained head on the Hugging Face Hub, with a card that says what it is and can't do.

    Args:
        checkpoint: run folder or checkpoint, of either stage.
        repository: user/name; made where it is not there.
        license_name: as the Hub calls licences, such as apache-2.0 or cc-by-4.0.
        private: a repository that is made is for you alone.
        audit: of the trajectories it was pretrained on: what `python -m services audit --json` printed.
        report: report.json of a recipe, whose results of the same task are the controls; by default the one beside the
            run's folder, if there is one.
    """
    from trainer.deployment.publishing.push import push_policy
    from trainer.hub import HubAddress
    from trainer.training.checkpoint import read_info

    address = HubAddress.of_repository(repository)
    info, folder = read_info(checkpoint), checkpoint if checkpoint.is_dir() else checkpoint.parent.parent
    result = _result(folder / "result.json", info)
    beside = report or folder.parent / "report.json"
    results = _results(beside) if report is not None or beside.is_file() else []
    pushed = push_policy(
        checkpoint,
        address,
        license_name,
        private=private,
        result=result,
        controls=[one for one in results if one["task"] == info.task],
        audit=None if audit is None else _audit(audit),
    )
    print(f"pushed: {pushed.url}")
    print(f"checkpoint: sha256 {pushed.checkpoint_hash}")


def _result(path: Path, info: "CheckpointInfo") -> dict[str, Any] | None:
    """What `evaluate` found of this checkpoint; None where there is nothing, or it is of another, which is said."""
    if not path.is_file():
        return None
    content = _read(path)
    if not isinstance(content, dict) or not {"successes", "episodes"} <= content.keys():
        raise ConfigError(f"{path} is no result of `evaluate`; evaluate the run again, or remove it")
    for key, pushed in (("checkpoint_step", info.step), ("task", info.task)):
        if content.get(key) != pushed:
            found = f"{key} {content.get(key)!r}, the pushed checkpoint's is {pushed!r}"
            print(f"left out of the card: {path} is of {found}; `evaluate` this one to have figures", file=sys.stderr)
            return None
    return content


def _results(path: Path) -> list[dict[str, Any]]:
    content = _read(path)
    needed = {"task", "mode", "demonstrations", "seed", "successes", "episodes"}
    found = content.get("results") if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) and needed <= one.keys() for one in found):
        raise ConfigError(f"{path} is no report of a recipe; give the report.json that `make train-decoupled` wrote")
    return found


def _audit(path: Path) -> dict[str, Any]:
    content = _read(path)
    if not isinstance(content, dict) or not {"checks", "rows", "violations"} <= content.keys():
        raise ConfigError(f"{path} is no audit; give what `python -m services audit --json` printed")
    return content


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} can't be read: {error}") from None
