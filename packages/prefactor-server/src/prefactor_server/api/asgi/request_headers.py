"""The request headers that the API uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prefactor_server.domain.change import MAX_POSITION
from prefactor_server.domain.errors import BadRequest

POSITION: Final = b"x-prefactor-position"
"""A response's position after its write, and the position that a request must be able to see."""


class RequestHeaders:
    """The request headers that the API uses.

    Raises:
        BadRequest: a header that must be unique is repeated, or one cannot be parsed.
    """

    __slots__ = (
        "authorization",
        "content_encoding",
        "content_length",
        "content_type",
        "host",
        "idempotency_key",
        "last_event_id",
        "position",
        "prefers_minimal",
    )

    def __init__(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.authorization: str | None = None
        self.idempotency_key: str | None = None
        self.last_event_id: str | None = None
        self.content_encoding = b""
        self.content_length = 0
        self.content_type = b""
        self.host = ""
        self.position: int | None = None
        self.prefers_minimal = False
        for name, value in headers:
            # A proxy and this server might each use a different one of two headers.
            if name == b"authorization":
                if self.authorization is not None:
                    raise BadRequest("Duplicate header Authorization")
                self.authorization = value.decode("latin-1")
            elif name == b"idempotency-key":
                if self.idempotency_key is not None:
                    raise BadRequest("Duplicate header Idempotency-Key")
                self.idempotency_key = _text_header(value, "Idempotency-Key")
            elif name == b"content-length" and value.isdigit():
                self.content_length = int(value[:20])
            elif name == b"content-encoding":
                self.content_encoding += b"," + value
            else:
                self._read_plain(name, value)

    def _read_plain(self, name: bytes, value: bytes) -> None:
        """Read a header. If it is repeated, the last one counts, or the highest of positions."""
        if name == b"host":
            self.host = value.decode("latin-1")
        elif name == b"last-event-id":
            self.last_event_id = value.decode("latin-1")
        elif name == b"content-type":
            self.content_type = value
        elif name == POSITION:
            self.position = max(_position(value), self.position or 0)
        elif name == b"prefer":
            # The first "return" preference counts (RFC 7240, section 2).
            preferences = [one.strip().lower() for one in value.replace(b" ", b"").split(b",")]
            returns = [one for one in preferences if one.startswith(b"return=")]
            self.prefers_minimal = returns[:1] == [b"return=minimal"]


def _position(value: bytes) -> int:
    if not value.isdigit() or len(value) > len(str(MAX_POSITION)):
        raise BadRequest(
            "The header X-Prefactor-Position must be a number that a response had in this header, "
            f"got {value[:40].decode('latin-1')!r}"
        )
    return min(int(value), MAX_POSITION)


def _text_header(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"The header {name} is not UTF-8") from error
