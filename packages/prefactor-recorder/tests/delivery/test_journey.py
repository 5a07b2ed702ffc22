"""End to end: records in a journal, a background thread, and a server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from live_server import start_server
from prefactor_http import HttpClientConfig, PrefactorHttpClient
from prefactor_recorder import Recorder
from prefactor_recorder.delivery import Delivery, DeliverySettings
from prefactor_recorder.journal.memory import MemoryJournal
from recorded import RecordedRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from prefactor_http.testing import ScriptedServer


class Deaf:
    """A listener that ignores everything."""

    def terminated(self, run_id: str, reason: str | None) -> None:
        raise AssertionError((run_id, reason))

    def open_runs(self) -> list[str]:
        return []


def test_a_run_reaches_the_server(
    server: ScriptedServer, journal: MemoryJournal, deliver: Callable[..., Delivery]
) -> None:
    """`wake` delivers a run in one request, one item per span, with a minimal answer."""
    delivery = deliver()
    run = RecordedRun(journal).begin()
    for number in range(20):
        run.span(f"span-{number:08}", f'{{"n":{number}}}')
    run.finish()
    assert delivery.idle
    delivery.wake()
    assert delivery.flush(30) == 0
    assert server.instances[run.id]["status"] == "complete"
    assert [span["payload"]["n"] for span in server.spans.values()] == list(range(20))
    assert {span["status"] for span in server.spans.values()} == {"complete"}
    assert sum(server.applied.values()) == 23
    assert delivery.stats.delivered == 43
    assert delivery.stats.requests == len(server.requests)
    assert {request.headers.get("prefer") for request in server.requests} == {"return=minimal"}


def test_a_later_end_is_sent_separately(
    server: ScriptedServer, journal: MemoryJournal, deliver: Callable[..., Delivery]
) -> None:
    """A span that is open when its create is sent is finished by a separate item."""
    delivery = deliver()
    run = RecordedRun(journal).begin().create("span-00000001")
    assert delivery.flush(30) == 0
    assert server.spans["span-00000001"]["status"] == "active"
    run.end("span-00000001", "failed", '{"why":"so"}')
    assert delivery.flush(30) == 0
    span = server.spans["span-00000001"]
    assert (span["status"], span["result_payload"]) == ("failed", {"why": "so"})


def test_metadata_reaches_the_server(server: ScriptedServer) -> None:
    """A run's metadata arrives in order, from registration to after its end."""
    with Recorder(server.url, server.token, agent_id="a", durability="memory") as recorder:
        with recorder.run(metadata={"user": "u", "release": 1}) as run:
            run.set_metadata({"release": None, "experiment": "a"})
        run.set_metadata({"experiment": "b" * 300})
        assert recorder.flush(30) == 0
        assert recorder.stats().dead_lettered == 0
    texts = server.instances[run.id]["metadata"]
    assert texts.keys() == {"user", "experiment"}
    assert len(texts["experiment"]) == 256


async def test_the_real_server_has_every_field(tmp_path: Path) -> None:
    """All fields of a run arrive once, and compressed as soon as the server allows it."""
    server = start_server(tmp_path)
    journal = MemoryJournal(2**20)
    settings = DeliverySettings(api_url=server.url, api_token=server.token)
    delivery = Delivery(journal, settings, Deaf())
    run = RecordedRun(journal).begin().create("span-00000001")
    delivery.wake()
    run.create("span-00000002", parent="span-00000001").end("span-00000002", "cancelled")
    run.end("span-00000001", "failed", '{"error":{"message":"no"}}').finish("failed")
    assert await delivery.aflush(30) == 0
    sent = delivery.stats.bytes_sent
    run.span("span-00000003", json.dumps({"text": "the same words again, " * 5000}))
    assert await delivery.aflush(30) == 0
    assert delivery.stats.bytes_sent - sent < 5000
    assert delivery.close(30) == 0
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        instance = await client.agent_instances.get(run.id)
        spans = [row async for row in client.agent_spans.iterate(agent_instance_id=run.id)]
    server.stop()
    assert instance.status == "failed"
    assert [(span.id, span.status, span.parent_span_id) for span in spans] == [
        ("span-00000001", "failed", None),
        ("span-00000002", "cancelled", "span-00000001"),
        ("span-00000003", "complete", None),
    ]
    assert spans[2].payload == {"text": "the same words again, " * 5000}
    assert spans[0].result_payload == {"error": {"message": "no"}}
