"""A rejected item costs no other item its delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefactor_http.testing import (
    Reply,
    ScriptedServer,
)
from recorded import RecordedRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefactor_recorder.delivery import Delivery

    from .conftest import InspectableJournal

from faults_fixture import bulks, spans


def test_a_bad_item_in_the_middle_costs_one_request(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """Items before a bad one count, the bad one is dead-lettered, and the rest is delivered."""
    run = spans(RecordedRun(journal).begin(), 5)
    run.span("span-of-poison", "5")
    for number in range(5, 10):
        run.span(f"span-{number:08}")
    other = RecordedRun(journal, "run-00000002").begin()
    delivery = deliver()
    assert delivery.flush(30) == 0
    assert sorted(server.spans) == [f"span-{number:08}" for number in range(10)]
    assert server.instances[other.id]["status"] == "active"
    assert len(server.requests) == 2
    assert [(kind, span) for kind, span, _ in journal.dead] == [
        ("CREATE_SPAN", "span-of-poison"),
        ("FINISH_SPAN", "span-of-poison"),
    ]
    assert {refusal["code"] for _, _, refusal in journal.dead} == {"validation_errors"}
    assert delivery.stats.dead_lettered == 2


def test_many_bad_items_cost_one_request_each(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """Ten bad items among a hundred cost ten requests more."""
    run = RecordedRun(journal).begin()
    for number in range(100):
        run.span(f"span-{number:08}", "5" if number % 10 == 3 else "{}")
    assert deliver().flush(30) == 0
    assert len(server.spans) == 90
    assert len(server.requests) == 11
    assert max(server.applied.values()) == 1


def test_a_413_is_halved_down_to_the_oversized_item(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """Requests shrink from four items to two to one.

    That one is dead-lettered, the others are sent.
    """
    delivery = deliver()
    run = RecordedRun(journal).begin()
    assert delivery.flush(30) == 0
    server.script(*[Reply.error(413, "bad_request", "Too large")] * 3)
    spans(run, 4)
    assert delivery.flush(30) == 0
    assert bulks(server)[1:4] == [4, 2, 1]
    assert {span for _, span, _ in journal.dead} == {"span-00000000"}
    assert sorted(server.spans) == [f"span-{number:08}" for number in (1, 2, 3)]


def test_a_server_that_rejects_everything_pauses_delivery(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """When item after item is refused, the server is at fault, so delivery pauses."""
    delivery = deliver(batch_items=4)
    run = RecordedRun(journal).begin()
    assert delivery.flush(30) == 0
    server.script(*[Reply.error(422, "validation_errors", "What is this?")] * 9)
    spans(run, 20)
    delivery.flush(2)
    assert delivery.stats.paused == "status 422, validation_errors"
    assert len(server.requests) == 1 + 9
    assert len({span for _, span, _ in journal.dead}) == 3
    assert delivery.flush(30) == 0
    assert len(server.spans) == 17


def test_a_limit_of_items_is_learned(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """After a server rejected a request for its number of items, requests have fewer items."""
    delivery = deliver(batch_items=1600)
    spans(RecordedRun(journal).begin(), 3998)
    assert delivery.flush(60) == 0
    assert len(server.spans) == 3998
    assert bulks(server)[:4] == [1600, 800, 800, 800]
    assert max(bulks(server)[1:]) == 800
    assert journal.dead == []
