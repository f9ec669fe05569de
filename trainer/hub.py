"""What lies on the Hugging Face Hub as folders here: `hf://user/name`, or `hf://user/name@revision`.

A revision is a branch, a tag or a commit; a commit pins every byte. Files of numbers and pictures alone are fetched, by
what their names end with: nothing that would have to be unpickled or run. They lie in huggingface_hub's own cache, and
who may fetch what is by its own log-in (`hf auth login`, HF_TOKEN): no token is read, kept or printed here.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from shared.errors import ConfigError, HubError

# Of a Path, which has one slash where two were.
_ADDRESS = re.compile(r"hf:/{1,2}(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
_DEMONSTRATIONS = ["*.json", "*.jsonl", "*.parquet", "*.mp4", "*.hdf5", "*.h5"]
_POLICY = ["checkpoints/*.safetensors", "backbones/*.safetensors"]

Kind = Literal["dataset", "model"]


class HubAddress(NamedTuple):
    """Where something lies on the Hub.

    Attributes:
        name: of the repository, user/name.
        revision: None is its main branch.
    """

    name: str
    revision: str | None

    @classmethod
    def of(cls, text: Path | str) -> "HubAddress | None":
        """The address that a text is; None where it begins otherwise. Raises ConfigError for half an address."""
        if not str(text).startswith("hf:/"):
            return None
        match = _ADDRESS.fullmatch(str(text))
        if match is None:
            raise ConfigError(f"{text} is no address on the Hub; write hf://user/name, or hf://user/name@revision")
        return cls(match["name"], match["revision"])

    @classmethod
    def of_repository(cls, text: str) -> "HubAddress":
        """Reads `user/name@revision`, whether or not hf:// stands before it. Raises ConfigError where it is none."""
        address = cls.of(f"hf://{text.removeprefix('hf://')}")
        assert address is not None
        return address

    def __str__(self) -> str:
        return f"hf://{self.name}" + (f"@{self.revision}" if self.revision else "")


def demonstrations_here(path: Path) -> Path:
    """Demonstrations' path, those on the Hub fetched: a LeRobot data set's folder, or the one HDF5 file there is.

    Raises HubError where they can't be fetched, or are neither.
    """
    address = HubAddress.of(path)
    if address is None:
        return path
    folder = fetched(address, "dataset", _DEMONSTRATIONS)
    files = sorted((*folder.glob("**/*.hdf5"), *folder.glob("**/*.h5")))
    if (folder / "meta" / "info.json").is_file():
        return folder
    if len(files) != 1:
        raise HubError(f"{address} is no LeRobot data set, and has {len(files)} HDF5 files; it needs to have one")
    return files[0]


def policy_here(path: Path) -> Path:
    """A run's path, one on the Hub fetched: its checkpoints and backbones. Raises HubError where it can't be."""
    address = HubAddress.of(path)
    return path if address is None else fetched(address, "model", _POLICY)


def fetched(address: HubAddress, kind: Kind, patterns: list[str]) -> Path:
    """The folder of a repository's files that fit one of the patterns. Raises HubError where it can't be fetched."""
    with hub_errors(str(address), kind):
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(address.name, repo_type=kind, revision=address.revision, allow_patterns=patterns))


@contextmanager
def hub_errors(what: str, kind: Kind) -> Iterator[None]:
    """Turns what huggingface_hub raises into a HubError of one line, and its absence into a ConfigError."""
    try:
        import httpx2
        from huggingface_hub import constants, errors
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{what}: the Hub needs {error.name}, which is not installed: pip install 'headstart[hub]'"
        ) from None
    words = {"dataset": "data set", "model": "policy or head"}[kind]
    try:
        yield
    except errors.GatedRepoError:
        raise HubError(
            f"{what}: is for those alone who were let in; ask for it on its page, then `hf auth login`"
        ) from None
    except errors.RepositoryNotFoundError:
        raise HubError(
            f"{what}: there is no such {words} on {constants.ENDPOINT}, or it is not for you; look at its name, and "
            "log in with `hf auth login`, or HF_TOKEN, if it is private"
        ) from None
    except errors.RevisionNotFoundError:
        raise HubError(f"{what}: has no such revision; name a branch, a tag or a commit of it") from None
    except errors.HfHubHTTPError as error:
        code = error.response.status_code
        help_ = {401: ": log in with `hf auth login`, or HF_TOKEN", 403: ": your token does not allow it"}.get(code, "")
        raise HubError(f"{what}: {constants.ENDPOINT} answered {code}{help_}{_said(error.server_message)}") from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, httpx2.HTTPError) as error:
        offline = " (HF_HUB_OFFLINE is set)" if constants.HF_HUB_OFFLINE else ""
        raise HubError(
            f"{what}: {constants.ENDPOINT} can't be reached{offline}, and it is not among what was fetched before; "
            "look at the network"
        ) from error
    except (errors.XetDownloadError, RuntimeError, ValueError) as error:
        # What moves large files, and what checks names, says it in its own words.
        raise HubError(f"{what}: {_first_line(error)}") from error


def _said(message: str | None) -> str:
    return f" ({message.strip()})" if message else ""


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
