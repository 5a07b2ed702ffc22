"""How connections are made and bodies put on them: what the client needs of aiohttp's machinery."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import aiohttp

from .encoding import to_json_bytes, to_json_text

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver, AbstractStreamWriter

    from .config import HttpClientConfig
    from .limits import Attempt

LARGE = 2**20
"""Bytes of a body beyond which aiohttp warns that sending it might block the event loop."""
PIECE = 2**18
"""Bytes that are written at a time of a larger body."""
KEEP_ALIVE = 4.0
"""Seconds that an idle connection is kept: below the 5 s after which common servers close it."""

# aiohttp 3.14 takes a serializer that returns bytes, which saves decoding and encoding again.
_SERIALIZER: dict[str, Any] = (
    {"json_serialize_bytes": to_json_bytes}
    if "json_serialize_bytes" in (aiohttp.ClientSession.__init__.__kwdefaults__ or {})
    else {"json_serialize": to_json_text}
)

current_attempt: ContextVar[Attempt | None] = ContextVar("current_attempt", default=None)
"""The attempt that the running task makes, to be told about its connection."""


class _Connector(aiohttp.TCPConnector):
    """Notes for the attempt in the current task whether its connection came from the pool.

    aiohttp's public way to learn this is a trace, which costs a tenth of the whole call. These
    are the methods that its base connector names for subclasses.
    """

    def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Assume the pool; `_create_connection` knows better."""
        attempt = current_attempt.get()
        if attempt is not None:
            attempt.from_pool = True
        return super().connect(*args, **kwargs)

    async def _create_connection(self, *args: Any, **kwargs: Any) -> Any:
        attempt = current_attempt.get()
        if attempt is not None:
            attempt.from_pool = False
        return await super()._create_connection(*args, **kwargs)


def connect(
    config: HttpClientConfig,
    *,
    trust_env: bool,
    resolver: AbstractResolver | None,
    single_use: bool,
) -> aiohttp.ClientSession:
    """Open a session; the loop has to be running."""
    pool: dict[str, Any] = (
        {"force_close": True} if single_use else {"keepalive_timeout": KEEP_ALIVE}
    )
    return aiohttp.ClientSession(
        connector=_Connector(resolver=resolver, **pool),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=config.request_timeout, connect=config.connect_timeout),
        trust_env=trust_env,
        **_SERIALIZER,
    )


class _Pieces(aiohttp.Payload):
    """A body that is written piece by piece, which aiohttp does not warn of as it does of bytes.

    Not `io.BytesIO`: older versions of aiohttp read that in the loop's executor, and at the exit
    of the interpreter no executor takes work any more.
    """

    _autoclose = True  # nothing is open

    def __init__(self, value: bytes) -> None:
        super().__init__(value, content_type="application/json")
        self._size = len(value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The text, which aiohttp may show."""
        content: bytes = self._value
        return content.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write everything, waiting for the socket in between."""
        content = memoryview(self._value)
        for start in range(0, len(content), PIECE):
            await writer.write(content[start : start + PIECE])


def in_pieces(body: bytes) -> aiohttp.Payload:
    """A large body for one trip; a second trip takes a new one."""
    return _Pieces(body)
