"""A payload of a span on its way in: the value to check, and the JSON to store."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from prefactor_server.api.kernel.fields import JsonObject
from prefactor_server.domain.agent_span import SpanPayload
from prefactor_server.domain.errors import Limit, TooLarge
from prefactor_server.payloads import encode_document

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_EMPTY: Final = b"{}"


class GivenPayload(NamedTuple):
    """A payload or a result; ``value`` is None when none was given."""

    value: JsonObject | None
    document: bytes

    @classmethod
    def of(cls, field: str, value: JsonObject | None, max_bytes: int) -> GivenPayload:
        """What a field of a request holds.

        Raises:
            TooLarge: it has more bytes than a payload may have.
        """
        if not value:
            return cls(value, _EMPTY)
        # Encoded anew rather than cut out of the request: what is stored is then known to be UTF-8,
        # compact, and free of keys that come twice.
        document = _encoder.encode(value)
        if len(document) > max_bytes:
            raise TooLarge(
                f"{field} has {len(document)} bytes as JSON; this server takes {max_bytes}",
                Limit("payload_bytes", max_bytes),
            )
        return cls(value, document)

    @classmethod
    def from_stored(cls, document: bytes) -> GivenPayload:
        """What was stored when the span was created."""
        return cls(_decoder.decode(document), document)

    @property
    def size(self) -> int:
        """The bytes it has as JSON; none if none was given."""
        return 0 if self.value is None else len(self.document)

    @property
    def shown(self) -> bytes | None:
        """The JSON to show; None if none was given."""
        return None if self.value is None else self.document

    def stored(self, account_id: str, span_id: str, part: int) -> tuple[SpanPayload, ...]:
        """What to store of it."""
        if self.value is None:
            return ()
        return (SpanPayload(account_id, span_id, part, *encode_document(self.document)),)
