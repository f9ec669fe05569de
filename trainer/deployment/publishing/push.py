"""A checkpoint, its backbone and a card as one commit of a repository on the Hub."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import ConfigError
from trainer import tensor_file
from trainer.deployment.publishing.card import card
from trainer.hub import HubAddress, hub_errors
from trainer.training.backbone_files import backbone_path
from trainer.training.checkpoint import find_checkpoint, load_checkpoint


@dataclass(frozen=True)
class Pushed:
    """What was published.

    Attributes:
        url: of the commit.
        commit: its hash.
        checkpoint_hash: sha256 of the checkpoint's file.
    """

    url: str
    commit: str
    checkpoint_hash: str


def push_policy(
    run: Path,
    address: HubAddress,
    license_name: str,
    *,
    private: bool = False,
    result: Mapping[str, Any] | None = None,
    controls: Sequence[Mapping[str, Any]] = (),
    audit: Mapping[str, Any] | None = None,
) -> Pushed:
    """Publishes a run's latest checkpoint of either stage; what an earlier push left of another is removed.

    Args:
        run: its folder, or a checkpoint.
        address: user/name; made where it is not there.
        license_name: as the Hub calls licences, such as apache-2.0.
        private: whether a repository that is made is for its owner alone.
        result, controls, audit: as the card shows them.

    Raises:
        CheckpointError: there is none, or it is damaged.
        ConfigError: an address with a revision.
        HubError: the Hub can't be reached, or refuses.
    """
    if address.revision is not None:
        raise ConfigError(f"{address} names a revision; a push makes a new one on the main branch: leave it out")
    path = find_checkpoint(run)
    # All of it, so that nothing damaged is published.
    _, info = load_checkpoint(path)
    files = {f"checkpoints/{path.name}": path}
    if info.backbone is not None:
        files[f"backbones/{info.backbone}.safetensors"] = backbone_path(path, info.backbone)
    named = tensor_file.sha256(path.read_bytes())
    text = card(address.name, info, named, license_name, result=result, controls=controls, audit=audit)
    with hub_errors(str(address), "model"):
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

        api = HfApi()
        api.create_repo(address.name, private=private, exist_ok=True)
        there = api.list_repo_files(address.name)
        old = [name for name in there if name.startswith(("checkpoints/", "backbones/")) and name not in files]
        commit = api.create_commit(
            address.name,
            [
                *(CommitOperationDelete(name) for name in old),
                *(CommitOperationAdd(name, file) for name, file in files.items()),
                CommitOperationAdd("README.md", text.encode()),
            ],
            commit_message=f"{info.head.head} of {info.robot}, step {info.step}",
        )
    return Pushed(commit.commit_url, commit.oid, named)
