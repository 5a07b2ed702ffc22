"""An attempt to sign in with OpenID Connect, from its start to its callback.

The browser keeps it in a cookie, signed with a key that all replicas share, so nothing is stored
for people who are not signed in. Only the browser that started an attempt can finish it. The
provider ensures that its code works only once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from prefactor_server.domain.times import SECOND_US

LIFETIME_SECONDS: Final = 600
"""How long a person may take at the provider."""

_RANDOM_BYTES: Final = 32
HOME: Final = "#/"
MAX_RETURN: Final = 1000
# The fragment of a URL. Anything else could lead to another site.
_RETURN: Final = re.compile(rf"#/[!-~]{{0,{MAX_RETURN - 2}}}")


class Attempt(NamedTuple):
    """One attempt.

    ``session`` is the id of the session whose person connects the provider, or empty.
    ``return_to`` is the fragment of a URL, from # on.
    """

    state: str
    nonce: str
    verifier: str
    return_to: str
    session: str
    until: int

    @classmethod
    def start(
        cls, now: int, random_bytes: Callable[[int], bytes], *, return_to: str, session: str
    ) -> Attempt:
        """Return a new attempt with fresh secrets."""
        state, nonce, verifier = (_text(random_bytes(_RANDOM_BYTES)) for _ in range(3))
        until = now + LIFETIME_SECONDS * SECOND_US
        return cls(state, nonce, verifier, return_to, session, until)

    def seal(self, key: bytes) -> str:
        """Return the attempt as signed text."""
        payload = _text(json.dumps(self, separators=(",", ":")).encode())
        return f"{payload}.{_text(_signature(payload, key))}"

    @classmethod
    def unseal(cls, text: str, key: bytes, now: int) -> Attempt | None:
        """Return the attempt in a signed text, or None if it was modified or has expired."""
        payload, _, signature = text.partition(".")
        if not hmac.compare_digest(signature.encode(), _text(_signature(payload, key)).encode()):
            return None
        attempt = cls._make(json.loads(base64.urlsafe_b64decode(_padded(payload))))
        return attempt if now < attempt.until else None

    @property
    def challenge(self) -> str:
        """The hash of the verifier, which the provider receives first (PKCE, S256)."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())

    def is_answered_by(self, state: str) -> bool:
        """Return whether a response of the provider with this state belongs to the attempt."""
        return hmac.compare_digest(self.state.encode(), state.encode())


def attempt_key(client_secret: str) -> bytes:
    """Return the key that signs attempts, the same on every replica."""
    return hmac.digest(client_secret.encode(), b"prefactor openid attempt", "sha256")


def is_page(text: str) -> bool:
    """Return whether a text is a page's fragment: ``#/`` and printable ASCII."""
    return _RETURN.fullmatch(text) is not None


def _signature(payload: str, key: bytes) -> bytes:
    return hmac.digest(key, payload.encode(), "sha256")


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)
