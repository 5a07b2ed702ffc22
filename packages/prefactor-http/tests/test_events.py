"""Live events: parsing blocks, and one stream over many connections."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefactor_http import (
    LiveEvent,
    PrefactorAuthError,
    PrefactorClientError,
    PrefactorHttpClient,
    PrefactorRequestError,
    PrefactorResponseContractError,
)
from prefactor_http._transport.event_parser import EventParser
from prefactor_http.testing import Drop, HtmlReply, Reply, ScriptedServer, Stall, StreamedReply

if TYPE_CHECKING:
    from collections.abc import Iterable

STREAM = {"Content-Type": "text/event-stream"}
RUN = {
    "type": "agent_instance",
    "id": "run-1",
    "account_id": "account",
    "agent_id": "a",
    "agent_version_id": "v",
    "environment_id": "e",
    "status": "active",
    "inserted_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
}
SPAN = {
    "type": "agent_span",
    "id": "span-1",
    "agent_instance_id": "run-1",
    "schema_name": "step",
    "status": "active",
}


def block(position: int, event: str = "changes", **data: Any) -> bytes:
    """An event as the server sends it."""
    return f"id: {position}\nevent: {event}\ndata: {json.dumps(data)}\n\n".encode()


READY = b"retry: 1000\n" + block(1, "ready")


def stream(*pieces: bytes) -> StreamedReply:
    """A stream that ends after these pieces."""
    return StreamedReply(pieces, headers=STREAM)


async def positions(client: PrefactorHttpClient, count: int, **asked: Any) -> list[int]:
    """The positions of the first events."""
    found: list[int] = []
    async with client.events(**asked) as events:
        async for event in events:
            found.append(event.position)
            if len(found) == count:
                break
    return found


@settings(max_examples=25)
@given(st.lists(st.integers(1, 30)))
def test_pieces(sizes: list[int]) -> None:
    """However the bytes are split, the parser returns the same complete blocks."""
    text = READY + b": heartbeat\nid: 2\n\n" + block(3) + b"data: a\ndata:b\n\nid: 9\ndata: half\n"
    parser = EventParser(1000)
    whole = EventParser(1000).feed(text)
    found, rest = [], text
    for size in itertools.chain(sizes, [len(text)]):
        found += parser.feed(rest[:size])
        rest = rest[size:]

    assert found == whole
    assert [one.last_event_id for one in found] == ["1", "3", "3"]
    assert found[-1].data == b"a\nb"


def test_endless_block() -> None:
    """A block that never ends is abandoned when it is too large."""
    with pytest.raises(ValueError, match="more than 10 bytes"):
        EventParser(10).feed(b"data: 12345")


async def test_events(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Events are models of the changed rows, and the filter is sent with the request."""
    server.script(stream(READY, block(5, runs=[RUN], spans=[SPAN], deleted_runs=["run-0"])))
    stream_of_two = client.events(
        agent_instance_ids=["run-1", "run-0"],
        agent_ids=["a"],
        include_spans=False,
        include_spans_of=["run-2"],
    )
    async with stream_of_two as events:
        ready = await anext(events)
        changes = await anext(events)

    assert ready == LiveEvent(kind="ready", position=1)
    assert [run.id for run in changes.runs] == ["run-1"]
    assert [span.status for span in changes.spans] == ["active"]
    assert changes.deleted_runs == ["run-0"]
    (request,) = server.requests
    assert request.query == {
        "agent_instance_ids": "run-1,run-0",
        "agent_ids": "a",
        "include_spans": "false",
        "include_spans_of": "run-2",
    }
    assert "last-event-id" not in {name.lower() for name in request.headers}


@pytest.mark.parametrize(
    "between",
    [
        [],
        [Drop()],
        [Reply.error(503, "unexpected", "Stopping", headers={"Retry-After": "0.01"})] * 6,
        [HtmlReply()],
        [stream(block(2, "ready"), block(3)[:-4])],
    ],
    ids=["end", "drop", "unavailable", "proxy", "half"],
)
async def test_reconnect(
    client: PrefactorHttpClient, server: ScriptedServer, between: Iterable[Any]
) -> None:
    """An interrupted stream continues after the last event."""
    server.script(stream(READY, block(2)), *between, stream(block(2, "ready"), block(3), block(4)))

    assert await positions(client, 4) == [1, 2, 3, 4]
    last = {name.lower(): value for name, value in server.requests[-1].headers.items()}
    assert last["last-event-id"] == "2"


async def test_heartbeat(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A heartbeat advances the position, and is not an event."""
    server.script(stream(READY, b": heartbeat\nid: 7\n\n"), stream(block(7, "ready"), block(8)))

    assert await positions(client, 2) == [1, 8]
    last = {name.lower(): value for name, value in server.requests[-1].headers.items()}
    assert last["last-event-id"] == "7"


async def test_reload(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Lost changes are reported, with the reason."""
    server.script(stream(block(9, "reload", reason="too_far_behind")))
    async with client.events(last_event_id=3) as events:
        event = await anext(events)

    assert (event.kind, event.position, event.reason) == ("reload", 9, "too_far_behind")


async def test_silence(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A silent connection counts as lost."""

    def silent() -> Iterable[bytes]:
        yield READY

    server.script(Stall(60, after="headers"), stream(READY, block(2)))

    assert await positions(client, 2, stale_after=0.2) == [1, 2]


async def test_refusal(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """If the server refuses to resume a stream, the stream raises that error."""
    server.script(stream(READY), Reply.error(401, "unauthorized", "Token is revoked"))
    async with client.events() as events:
        await anext(events)
        with pytest.raises(PrefactorAuthError):
            await anext(events)


@pytest.mark.parametrize(
    "reply",
    [
        stream(b"event: changes\ndata: {}\n\n"),
        stream(b"id: 1\nevent: changes\ndata: nonsense\n\n"),
        stream(b": heartbeat\nid: nonsense\n\n"),
        stream(b"id: nonsense\nevent: of-later\ndata: {}\n\n"),
        Reply(200, {"status": "success"}),
    ],
)
async def test_nonsense(
    client: PrefactorHttpClient, server: ScriptedServer, reply: StreamedReply | Reply
) -> None:
    """A response that is not an event stream is an error."""
    server.script(reply)
    with pytest.raises(PrefactorResponseContractError):
        await positions(client, 1)


async def test_close(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A closed stream ends the iteration; a stream of a closed client fails without a request."""
    server.script(stream(READY), stream(READY))
    events = client.events()
    assert (await anext(events)).kind == "ready"
    await events.aclose()
    assert [event async for event in events] == []
    async with client.events() as others:
        await anext(others)
        await client.close()
        with pytest.raises(PrefactorClientError):
            await anext(others)
    assert len(server.requests) == 2


async def test_an_event_that_cannot_be_read_is_a_contract_error(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """That is one nested too deeply, and a stream in a coding that was not requested."""
    deep = b"[" * 100_000
    server.script(
        stream(b"id: 1\nevent: ready\ndata: " + deep + b"\n\n"),
        StreamedReply([b"?"], headers={**STREAM, "Content-Encoding": "gzip"}),
    )

    for expected in ("Invalid event", "content coding 'gzip'"):
        with pytest.raises(PrefactorResponseContractError, match=expected):
            await positions(client, 1)


@pytest.mark.parametrize(
    ("ids", "message"),
    [([1], r"agent_ids\[0\] must be text, got int"), (5, "agent_ids must be a list of texts")],
)
async def test_ids_that_are_not_text_are_refused(
    client: PrefactorHttpClient, server: ScriptedServer, ids: Any, message: str
) -> None:
    """The message names the argument, and nothing is sent."""
    with pytest.raises(PrefactorRequestError, match=message):
        client.events(agent_ids=ids)
    assert not server.requests
