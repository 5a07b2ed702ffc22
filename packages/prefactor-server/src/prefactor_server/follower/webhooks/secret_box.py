"""Encryption of stored secrets, under a key that is not in the database.

The cipher is AES-256-GCM with a nonce for each secret. The id of the row is authenticated with the
secret, so that the secret of one row cannot be copied into another. A fingerprint of the key comes
first, so that a server with another key can say so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from prefactor_server.domain.errors import InvalidAction, SettingError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MIN_KEY_LENGTH: Final = 32
_CONTEXT: Final = b"prefactor webhook secrets 1"
_FINGERPRINT_BYTES: Final = 4
_NONCE_BYTES: Final = 12


class UnreadableSecret(Exception):
    """A stored secret was encrypted with another key, or is damaged."""


class SecretBox:
    """Encrypts and decrypts with the server's secret key. An empty key can do neither."""

    def __init__(self, secret_key: str, random_bytes: Callable[[int], bytes]) -> None:
        if secret_key and len(secret_key) < MIN_KEY_LENGTH:
            raise SettingError(
                f"secret_key must be at least {MIN_KEY_LENGTH} characters, got {len(secret_key)}: "
                "make one with `openssl rand -base64 32`"
            )
        digest = hashlib.blake2b(secret_key.encode(), key=_CONTEXT).digest()
        self._key = digest[:32] if secret_key else None
        self._fingerprint = digest[32 : 32 + _FINGERPRINT_BYTES]
        self._random_bytes = random_bytes

    @property
    def is_usable(self) -> bool:
        """Whether there is a key."""
        return self._key is not None

    def check_usable(self) -> None:
        """Check that the server has a key to encrypt a new secret with.

        Raises:
            InvalidAction: the server has no key; the message says how to give it one.
        """
        if not self.is_usable:
            raise InvalidAction(
                "This server cannot store the secret of a webhook: set PREFACTOR_SECRET_KEY to at "
                f"least {MIN_KEY_LENGTH} random characters (`openssl rand -base64 32`), the same "
                "on every replica, and start it again"
            )

    def encrypt(self, text: str, belongs_to: str) -> bytes:
        """Encrypt a secret for storage.

        Raises:
            InvalidAction: the server has no key.
        """
        self.check_usable()
        nonce = self._random_bytes(_NONCE_BYTES)
        encrypted = self._cipher().encrypt(nonce, text.encode(), belongs_to.encode())
        return self._fingerprint + nonce + encrypted

    def decrypt(self, stored: bytes, belongs_to: str) -> str:
        """Decrypt a stored secret.

        Raises:
            UnreadableSecret: the message says why, and what to do.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see _cipher

        if self._key is None:
            raise UnreadableSecret(
                "the secret cannot be decrypted: PREFACTOR_SECRET_KEY is not set"
            )
        if stored[:_FINGERPRINT_BYTES] != self._fingerprint:
            raise UnreadableSecret(
                "the secret was made with another PREFACTOR_SECRET_KEY: set that one again, or "
                "rotate the secret"
            )
        sealed = stored[_FINGERPRINT_BYTES:]
        nonce, encrypted = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher().decrypt(nonce, encrypted, belongs_to.encode()).decode()
        except InvalidTag as error:
            raise UnreadableSecret("the stored secret is damaged: rotate it") from error

    def _cipher(self) -> AESGCM:
        # A server without webhooks needs no cryptography.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see above

        if self._key is None:
            raise TypeError("no key")
        return AESGCM(self._key)
