"""After a crash between delivery and ack, the real server has everything once.

A crash is a journal that starts again with the same records, as a spool does whose acks were lost.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from live_server import LiveServer, start_server
from prefactor_http import HttpClientConfig, PrefactorHttpClient
from prefactor_recorder.delivery import Delivery, DeliverySettings
from recorded import RecordedRun
from reserved_port import reserved_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import InspectableJournal, RecordingListener


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One real server for the tests of this module."""
    server = start_server(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


def settings(server: LiveServer) -> DeliverySettings:
    """Where that server is."""
    return DeliverySettings(api_url=server.url, api_token=server.token)


def held(server: LiveServer, run_id: str) -> tuple[Any, dict[str, Any]]:
    """Return the server's copy of a run and its spans by id."""

    async def ask() -> tuple[Any, dict[str, Any]]:
        async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
            run = await client.agent_instances.get(run_id)
            spans = [row async for row in client.agent_spans.iterate(agent_instance_id=run_id)]
            assert len({span.id for span in spans}) == len(spans)
            return run, {span.id: span for span in spans}

    return asyncio.run(ask())


def deliver_after_a_crash(
    real: LiveServer,
    make: Callable[[], InspectableJournal],
    listener: RecordingListener,
    first: Callable[[InspectableJournal], object],
    second: Callable[[InspectableJournal], object],
) -> InspectableJournal:
    """Deliver what `first` records and forget it; deliver what `second` records into a new one."""
    for record in (first, second):
        journal = make()
        record(journal)
        delivery = Delivery(journal, settings(real), listener)
        assert delivery.flush(60) == 0
        delivery.close()
    return journal


def test_separate_items_are_merged_after_a_crash(
    real: LiveServer, journal: InspectableJournal, listener: RecordingListener
) -> None:
    """If a create exists under its key with another body, its end is sent alone."""
    run_id = "run-apart-together"
    after = deliver_after_a_crash(
        real,
        type(journal),
        listener,
        lambda j: RecordedRun(j, run_id).begin().create("span-apart-together", '{"n":1}'),
        lambda j: (
            RecordedRun(j, run_id)
            .begin()
            .create("span-apart-together", '{"n":1}')
            .end("span-apart-together", "failed", '{"r":2}')
            .finish("failed")
        ),
    )
    run, spans = held(real, run_id)
    assert run.status == "failed"
    assert [(s.status, s.payload, s.result_payload) for s in spans.values()] == [
        ("failed", {"n": 1}, {"r": 2})
    ]
    assert after.dead == []


def test_a_merged_item_is_separate_after_a_crash(
    real: LiveServer, journal: InspectableJournal, listener: RecordingListener
) -> None:
    """A create and an end that the server already has both count as delivered."""
    run_id = "run-together-apart"

    def apart(journal: InspectableJournal) -> None:
        run = RecordedRun(journal, run_id).begin().create("span-together-apart")
        delivery = Delivery(journal, settings(real), listener)
        assert delivery.flush(60) == 0
        delivery.close()
        run.end("span-together-apart").finish()

    after = deliver_after_a_crash(
        real,
        type(journal),
        listener,
        lambda j: RecordedRun(j, run_id).begin().span("span-together-apart").finish(),
        apart,
    )
    run, spans = held(real, run_id)
    assert run.status == "complete"
    assert [span.status for span in spans.values()] == ["complete"]
    assert after.dead == []


def test_a_conflicting_registration_of_an_existing_run(
    real: LiveServer, journal: InspectableJournal, listener: RecordingListener
) -> None:
    """A conflicting register counts as delivered if the run exists."""
    after = deliver_after_a_crash(
        real,
        type(journal),
        listener,
        lambda j: RecordedRun(j, "run-other-words").register("agent-one"),
        lambda j: RecordedRun(j, "run-other-words").register("agent-two").start(),
    )
    run, _ = held(real, "run-other-words")
    assert run.status == "active"
    assert after.dead == []


def test_a_rejected_run(
    real: LiveServer, journal: InspectableJournal, listener: RecordingListener
) -> None:
    """A rejected registration is dead-lettered with the server's message; its run is not sent."""
    refused = RecordedRun(journal, "run-refused").register("")
    refused.start().span("span-of-a-refused-run").finish()
    RecordedRun(journal, "run-accepted").begin()
    delivery = Delivery(journal, settings(real), listener)
    assert delivery.flush(60) == 0
    delivery.close()
    codes = [(kind, refusal["code"]) for kind, _, refusal in journal.dead]
    assert codes[0] == ("REGISTER", "validation_errors")
    assert {code for _, code in codes[1:]} == {"run_refused"}
    assert len(codes) == 5
    assert held(real, "run-accepted")[0].status == "active"


def test_a_server_outage(
    journal: InspectableJournal, listener: RecordingListener, tmp_path: Path
) -> None:
    """Records made while the server is down are delivered when it is back."""
    with reserved_port() as port:
        server = start_server(tmp_path, port=port)
        delivery = Delivery(journal, settings(server), listener)
        run = RecordedRun(journal, "run-of-an-outage").begin()
        assert delivery.flush(60) == 0
        server.kill()
        for number in range(50):
            run.span(f"span-of-an-outage-{number}")
        while delivery.stats.last_error is None:
            assert delivery.flush(0.3) == 100
        run.finish()
        server = start_server(tmp_path, port=port)
        assert delivery.flush(60) == 0
        delivery.close()
        status, spans = held(server, run.id)
        server.stop()
        assert status.status == "complete"
        assert len(spans) == 50
        assert journal.dead == []
