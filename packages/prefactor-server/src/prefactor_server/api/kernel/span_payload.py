"""A payload in a request: the value to check, and the JSON to store."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from prefactor_server.api.kernel.fields import JsonObject
from prefactor_server.domain.errors import Limit, TooLarge
from prefactor_server.domain.runs.agent_span import NewSpanPayload, SpanPayload
from prefactor_server.payloads import encode_document

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_EMPTY: Final = b"{}"


class RequestPayload(msgspec.Struct, frozen=True, gc=False):
    """A payload or result payload; ``value`` is None if it was omitted."""

    value: JsonObject | None
    document: bytes

    @classmethod
    def of(cls, field: str, value: JsonObject | None, max_bytes: int) -> RequestPayload:
        """Return the payload in a field of a request.

        Raises:
            TooLarge: the payload exceeds ``max_bytes``.
        """
        if value is None:
            return NO_PAYLOAD
        if not value:
            return cls(value, _EMPTY)
        # Encoded again rather than sliced from the request, so that the stored document is UTF-8,
        # compact and without duplicate keys.
        document = _encoder.encode(value)
        if len(document) > max_bytes:
            raise TooLarge(
                f"{field} has {len(document)} bytes as JSON: at most {max_bytes} are accepted",
                Limit("payload_bytes", max_bytes),
            )
        return cls(value, document)

    @classmethod
    def from_stored(cls, document: bytes) -> RequestPayload:
        """Return the payload that is stored of an open span."""
        return cls(_decoder.decode(document), document)

    @property
    def size(self) -> int:
        """The size as JSON, in bytes; 0 if the payload was omitted."""
        return 0 if self.value is None else len(self.document)

    @property
    def shown(self) -> bytes | None:
        """The JSON to show, or None if the payload was omitted."""
        return None if self.value is None else self.document

    def stored(self, account_id: str, span_id: str, part: int) -> tuple[SpanPayload, ...]:
        """Return the rows to store."""
        if self.value is None:
            return ()
        payload = NewSpanPayload(account_id, span_id, part, *encode_document(self.document))
        payload.document = self.document
        return (payload,)


NO_PAYLOAD: Final = RequestPayload(None, _EMPTY)
