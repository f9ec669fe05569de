"""How calls to a webhook are signed and checked, as Standard Webhooks has it: HMAC-SHA256 of id, time and body."""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping

from shared.errors import ServiceError

_PREFIX = "whsec_"
_LEAST_BYTES = 24
_TOLERANCE_S = 300.0


def key_of(secret: str) -> bytes:
    """The key of a secret, `whsec_` and at least 24 bytes in base64. Raises ValueError saying so."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(_PREFIX) or len(key) < _LEAST_BYTES:
        raise ValueError(f"a webhook secret is {_PREFIX} and at least {_LEAST_BYTES} random bytes in base64")
    return key


def signed_headers(key: bytes, message_id: str, at: float, body: bytes) -> dict[str, str]:
    """The headers of a call.

    Args:
        key: of the secret that sender and receiver share.
        message_id: the same for each try, so that a receiver can tell it has had it.
        at: when it is sent [s since 1970].
        body: of the call.
    """
    timestamp = str(int(at))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{_signature(key, message_id, timestamp, body)}",
    }


def check_signature(secret: str, headers: Mapping[str, str], body: bytes, now: float | None = None) -> None:
    """Checks that a call was sent by who knows the secret, and lately.

    Args:
        secret: the service's HEADSTART_WEBHOOK_SECRET.
        headers: of the call, with names as the receiver's framework has them.
        body: of the call, as it came.
        now: time to judge the call's age by [s since 1970]; the clock's by default.

    Raises:
        ServiceError: it was not, or more than five minutes ago, as when an old call is sent once more.
        ValueError: that is no secret.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    expected = _signature(key_of(secret), message_id, timestamp, body)
    # Several, while a secret is being replaced.
    signatures = [text.partition(",") for text in given.get("webhook-signature", "").split()]
    if not any(version == "v1" and hmac.compare_digest(text, expected) for version, _, text in signatures):
        raise ServiceError("a webhook's signature is not of this secret: don't believe what it says")
    if abs((time.time() if now is None else now) - int(timestamp)) > _TOLERANCE_S:
        raise ServiceError(
            "a webhook was signed more than five minutes ago or ahead: it may be an old one, or a clock is off"
        )


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    signed = b".".join([message_id.encode(), timestamp.encode(), body])
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
