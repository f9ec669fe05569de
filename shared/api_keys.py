"""Who may call a program of ours over HTTP: a bearer key where one is set, else only this machine by its own names."""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from headstart_client.service.loopback import is_loopback
from shared.errors import ConfigError

_LEAST_CHARACTERS = 16
_PLACE = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]+))(?::\d*)?")
"""A host, an IPv6 address in brackets, and perhaps a port."""


class Refusal(NamedTuple):
    """An HTTP status and what to say, where a call is not let in."""

    status: int
    detail: str


class AccessRule:
    """Whether a call is let in. Without keys, a page that points a foreign name at this machine is still kept out."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    def refusal(
        self, *, host: str, origins: Iterable[str], authorization: str, is_open: bool = False
    ) -> Refusal | None:
        """Why a call is refused, judged by its headers of these names; None lets it in.

        Args:
            host: of the call.
            origins: every Origin, which a browser sends with whatever a page of another site makes it send.
            authorization: `Bearer KEY`.
            is_open: the path needs no key.
        """
        if self._digests:
            if is_open or self.knows(authorization):
                return None
            return Refusal(401, "this service asks for its API key, as the header `Authorization: Bearer KEY`")
        places = [host, *(_place(origin) for origin in origins)]
        if all(_is_own(place) for place in places):
            return None
        return Refusal(403, "without an API key this service answers to loopback addresses and localhost only")

    def knows(self, authorization: str) -> bool:
        """Whether an Authorization header has one of the keys."""
        scheme, _, key = authorization.partition(" ")
        # Digests of equal length, so that neither the key nor its length shows in the time this takes.
        given = hashlib.sha256(key.strip().encode()).digest()
        # All of them, so that it does not show which one it was.
        same = [hmac.compare_digest(given, digest) for digest in self._digests]
        return scheme.lower() == "bearer" and any(same)


def _place(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return origin


def _is_own(place: str) -> bool:
    """Whether that names this machine in a way that nobody's name server can point elsewhere."""
    parts = _PLACE.fullmatch(place)
    return parts is not None and is_loopback(parts[1] or parts[2])


def keys_of(host: str, key: str | None, file: Path | None) -> tuple[str, ...]:
    """The keys of which callers must send one; none if none is asked for.

    Args:
        host: that is listened on.
        key: the one key.
        file: else, where keys lie, one a line; made, with a random key, if missing.

    Raises:
        ConfigError: there is none although other machines can reach the service, or they can't be used.
    """
    keys: tuple[str, ...] = ()
    if key and key.strip():
        keys = (key.strip(),)
    elif file:
        keys = read_or_make_keys(file)
    if not keys and not is_loopback(host):
        raise ConfigError(
            f"--host {host} lets other machines in, so an API key is needed: set HEADSTART_API_KEY, "
            "or --api-key-file to a file that holds one (it is made if missing); or use --host 127.0.0.1"
        )
    for one in keys:
        if len(one) < _LEAST_CHARACTERS:
            raise ConfigError(f"an API key has {len(one)} characters; use at least {_LEAST_CHARACTERS}")
    return keys


def read_or_make_keys(path: Path, what: str = "API key") -> tuple[str, ...]:
    """The keys in a file, one a line, which is made, with a random one, if it is missing.

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
