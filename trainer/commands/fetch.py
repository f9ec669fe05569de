"""`python -m trainer fetch`."""

from pathlib import Path

from tyro.conf import Positional


def run(repository: Positional[str], out: Path, sha256: str | None = None) -> None:
    """Fetch a policy or a pretrained head from the Hugging Face Hub into a run's folder.

    Args:
        repository: user/name, or user/name@revision; a commit as revision pins every byte.
        out: run folder to write.
        sha256: of its checkpoint's file or its backbone's: refused where it holds neither.
    """
    from trainer.deployment.publishing.fetch import fetch_policy
    from trainer.hub import HubAddress

    address = HubAddress.of_repository(repository)
    print(f"fetched: {fetch_policy(address, out, sha256)}")
