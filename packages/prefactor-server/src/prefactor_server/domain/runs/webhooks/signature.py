"""Secrets and signatures, as in the Standard Webhooks specification.

A secret is ``whsec_`` followed by base64. The signature covers the id of the message, the time of
the attempt and the body, joined by full stops. The header holds a signature for each secret in
force.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final

from prefactor_server.domain.times import SECOND_US

PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32


def new_secret(random_bytes: Callable[[int], bytes]) -> str:
    """Return a new secret of 256 random bits, in the form that receivers use."""
    return PREFIX + base64.b64encode(random_bytes(_SECRET_BYTES)).decode()


def signed_headers(
    message_id: str, at: int, body: bytes, secrets: Sequence[str]
) -> Mapping[str, str]:
    """Return the three headers of a message that is sent at a time."""
    timestamp = str(at // SECOND_US)
    content = b".".join((message_id.encode(), timestamp.encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, content) for secret in secrets),
    }


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, content, sha256)).decode()
