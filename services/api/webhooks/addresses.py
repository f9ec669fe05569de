"""Which addresses a webhook may have: not those that only this machine and its network reach, however they are written.

Who may submit a job must not thereby make the service call what only the service reaches.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

import anyio
import httpx

from shared.errors import HeadstartError

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LONGEST = 2000
_PORTS = {"http": 80, "https": 443}


class RefusedAddressError(HeadstartError):
    """A URL that no webhook may have."""


async def check_url(url: str, allow_private: bool) -> None:
    """Raises RefusedAddressError if a webhook must not, or can't, have this URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        raise RefusedAddressError(f"it is no URL: {error}") from None
    if host is None or port is None or len(url) > _LONGEST:
        raise RefusedAddressError(f"give a URL such as https://example.org/hook, of at most {_LONGEST} characters")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise RefusedAddressError("leave user, password and #fragment out: calls are signed instead")
    try:
        await checked_address(host, port, allow_private)
    except OSError as error:
        raise RefusedAddressError(f"{host} can't be resolved: {error.strerror or error}") from None


async def checked_address(host: str, port: int, allow_private: bool) -> str:
    """An address of a host, all of whose addresses may be called. Raises RefusedAddressError, OSError."""
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise RefusedAddressError(f"{host!r:.80} is no name of a host: {error}") from None
    addresses = [str(place[0]).partition("%")[0] for *_, place in found]
    for address in addresses:
        if not allow_private and not is_public(address):
            raise RefusedAddressError(
                f"{host} is {address}, which is not of the public internet; whoever runs this service can allow such "
                "addresses with HEADSTART_WEBHOOK_ALLOW_PRIVATE=true"
            )
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet's, and so is the IPv4 address that it may stand for."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv4Address):
        return found.is_global and not found.is_multicast
    inner = [found.ipv4_mapped, found.sixtofour, *(found.teredo or ())]
    if found in _NAT64:
        inner.append(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
    stands_for = [one for one in inner if one is not None]
    if stands_for:
        return all(is_public(str(one)) for one in stands_for)
    return found.is_global and not found.is_multicast and not found.is_site_local


class CheckedTransport(httpx.AsyncHTTPTransport):
    """Connects to the very address that was checked: a name that is resolved once more could have another by then."""

    def __init__(self, allow_private: bool) -> None:
        super().__init__()
        self._allow_private = allow_private

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Called by httpx. Raises RefusedAddressError."""
        host = request.url.host
        port = request.url.port or _PORTS[request.url.scheme]
        try:
            address = await checked_address(host, port, self._allow_private)
        except OSError as error:
            raise httpx.ConnectError(f"{host} can't be resolved: {error.strerror or error}", request=request) from error
        # The Host header is there already; certificates are checked against the name.
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)
        return await super().handle_async_request(request)
