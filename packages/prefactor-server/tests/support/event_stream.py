"""An event stream, decoded as its bytes arrive."""

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from api_client import ApiClient

from patience import patience


@dataclass(frozen=True)
class Event:
    """One block of a stream; a comment has no kind."""

    id: int
    kind: str
    data: Any


@dataclass
class Followed:
    """A stream that is open."""

    response: aiohttp.ClientResponse
    events: list[Event] = field(default_factory=list)
    text: str = ""
    _unread: str = ""

    async def next(self) -> Event:
        """The next block. Raises EOFError at the end of the stream."""
        while "\n\n" not in self._unread:
            # Any number of blocks, at once or one by one.
            piece = (await self.response.content.readany()).decode()
            if not piece:
                raise EOFError(self.text)
            self.text += piece
            self._unread += piece
        block, _, self._unread = self._unread.partition("\n\n")
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        kind = fields.get("event", "")
        event = Event(int(fields["id"]), kind, json.loads(fields["data"]) if kind else None)
        self.events.append(event)
        return event

    async def until(self, done: Callable[[Event], bool]) -> Event:
        """The first block for which a condition holds."""
        while not done(event := await self.next()):
            pass
        return event

    async def span(self, span_id: str) -> Any:
        """Return the row of a span, once the stream reports it."""
        event = await self.until(lambda one: span_id in ids(one, "spans"))
        return next(row for row in event.data["spans"] if row["id"] == span_id)

    async def end(self) -> None:
        """Read to the end."""
        try:
            while True:
                await self.next()
        except EOFError:
            pass


def ids(event: Event, kind: str) -> list[str]:
    """The ids of the rows of a kind in an event."""
    return [row["id"] for row in event.data[kind]] if event.kind == "changes" else []


@asynccontextmanager
async def following(
    api_client: ApiClient,
    *,
    token: str | None = None,
    after: int | None = None,
    query: Mapping[str, str] | None = None,
) -> AsyncGenerator[Followed]:
    """A stream that has begun."""
    headers = {"Authorization": f"Bearer {token or api_client.token}"}
    if after is not None:
        headers["Last-Event-ID"] = str(after)
    async with api_client.session.get(
        f"{api_client.url}/api/v1/events",
        headers=headers,
        params=query,
        timeout=aiohttp.ClientTimeout(total=patience(30)),
    ) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        yield Followed(response)
