"""When servers and networks fail, everything is delivered once."""

from __future__ import annotations

import gzip
import json
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from prefactor_http.testing import (
    Drop,
    FaultPlan,
    HtmlReply,
    Reply,
    ScriptedServer,
    Stall,
    Step,
    Truncate,
)
from recorded import RecordedRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefactor_recorder.delivery import Delivery

    from .conftest import InspectableJournal, RecordingListener

from faults_fixture import bulks, spans


def persist(delivery: Delivery) -> int:
    """Flush until nothing is left; every flush tries at once, so that no backoff is waited out."""
    for _ in range(400):
        if delivery.flush(0.5) == 0:
            return 0
    return delivery.flush(0)


def until(condition: Callable[[], object]) -> None:
    """Wait for something that happens in another thread."""
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")


def test_retry_after_is_respected(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """After a 429 with `Retry-After` the items are sent at that time, even in a flush."""
    server.script(Reply.error(429, "unknown", "Slow down", headers={"Retry-After": "2"}))
    spans(RecordedRun(journal).begin(), 3)
    delivery = deliver()
    assert delivery.flush(0.05) == 8
    assert delivery.flush(30) == 0
    assert len(server.requests) == 2
    assert server.requests[0].body == server.requests[1].body


FAULTS: list[Step] = [
    Reply.error(500, "unexpected", "Trouble"),
    Reply.error(503, "unexpected", "Busy"),
    HtmlReply(502),
    HtmlReply(200),
    Reply(200, {"status": "success"}),
    Reply(200, {"status": "success", "outputs": {}}),
    Drop(),
    Drop(after="processing"),
    Truncate(),
    Stall(60),
    Stall(60, after="half"),
]


@pytest.mark.parametrize("step", FAULTS, ids=repr)
def test_temporary_failures_are_retried(
    server: ScriptedServer,
    journal: InspectableJournal,
    deliver: Callable[..., Delivery],
    step: Step,
) -> None:
    """After any three failures in a row, everything is delivered once."""
    delivery = deliver(request_timeout=0.3)
    spans(RecordedRun(journal).begin(), 3).finish()
    server.script(step, step, step)
    assert persist(delivery) == 0
    assert len(server.spans) == 3
    assert {span["status"] for span in server.spans.values()} == {"complete"}
    assert max(server.applied.values()) == 1
    assert journal.dead == []
    assert delivery.stats.retries >= 2
    assert sorted(journal.settled) == sorted(set(journal.settled))


@pytest.mark.parametrize("seed", range(3))
def test_faults_at_random(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery], seed: int
) -> None:
    """With faults in half of all requests, every span arrives once, and ended."""
    server.inject(
        FaultPlan(
            seed=seed,
            drop_before=0.1,
            drop_after=0.1,
            truncate=0.1,
            throttle=0.05,
            unavailable=0.1,
            stall=0.05,
            stall_seconds=60,
        )
    )
    delivery = deliver(request_timeout=0.3, batch_items=20)
    runs = [RecordedRun(journal, f"run-{number:08}").begin() for number in range(10)]
    for number in range(300):
        run = runs[number % 10].create(f"span-{number:08}")
        if number % 30 == 0:
            delivery.flush(0.05)
        run.end(f"span-{number:08}")
    for run in runs:
        run.finish()
    assert persist(delivery) == 0
    assert len(server.spans) == 300
    assert {span["status"] for span in server.spans.values()} == {"complete"}
    assert {instance["status"] for instance in server.instances.values()} == {"complete"}
    assert max(server.applied.values()) == 1
    assert journal.dead == []
    assert sorted(journal.settled) == sorted(set(journal.settled))


def test_a_lost_connection_is_retried_at_once(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """One disconnect is retried at once, without a warning."""
    server.script(Drop(after="processing"))
    RecordedRun(journal).begin()
    assert deliver().flush(30) == 0
    assert len(server.requests) == 2


def test_a_rejected_token_pauses_delivery(
    server: ScriptedServer,
    journal: InspectableJournal,
    deliver: Callable[..., Delivery],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing is discarded, one warning says what to do, and a flush tries again."""
    server.script(*[Reply.error(401, "bad_authtoken", "Token revoked")] * 3)
    spans(RecordedRun(journal).begin(), 3)
    delivery = deliver()
    delivery.wake()
    until(lambda: delivery.stats.paused)
    RecordedRun(journal, "run-00000002").begin()
    if delivery.idle:
        delivery.wake()
    assert delivery.flush(0.2) == 10
    assert delivery.stats.paused == "status 401, bad_authtoken"
    assert len(server.requests) == 2
    assert persist(delivery) == 0
    assert delivery.stats.paused is None
    [warning] = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "PREFACTOR_API_TOKEN" in warning
    assert server.token not in caplog.text
    assert journal.dead == []


def test_an_address_without_the_api_pauses_delivery(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """A 404 for the bulk request itself does not reject any record."""
    server.script(HtmlReply(404))
    RecordedRun(journal).begin()
    delivery = deliver()
    delivery.flush(0.3)
    assert delivery.stats.paused == "status 404"
    assert persist(delivery) == 0
    assert journal.dead == []


def test_an_item_that_crashes_the_server_is_isolated(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """A request on which the server keeps failing shrinks to one item.

    Then only that item's run waits, and a flush retries it.
    """
    delivery = deliver()
    run = RecordedRun(journal).begin()
    assert delivery.flush(30) == 0
    server.script(*[Drop()] * 6)
    spans(run, 8)
    assert persist(delivery) == 0
    assert bulks(server)[1:7] == [8, 8, 4, 2, 1, 8]
    assert len(server.spans) == 8


@pytest.mark.parametrize(
    "output",
    [5, "control", [], {"code": []}, {"code": {}, "message": 5, "details": 5, "control": 5}],
    ids=repr,
)
def test_a_malformed_answer(
    output: object,
    server: ScriptedServer,
    journal: InspectableJournal,
    deliver: Callable[..., Delivery],
) -> None:
    """Records whose answer is malformed are sent again, and delivery does not restart."""
    run = RecordedRun(journal).begin()
    outputs = {f"{run.id}-register": output, f"{run.id}-start": output}
    server.script(Reply(200, {"status": "success", "outputs": outputs}))
    delivery = deliver()
    assert persist(delivery) == 0
    assert (delivery.stats.delivered, journal.dead) == (2, [])
    assert delivery.stats.worker_restarts == 0


@pytest.mark.parametrize("status", [401, 413, 422, 500])
def test_a_malformed_error(
    status: int,
    server: ScriptedServer,
    journal: InspectableJournal,
    deliver: Callable[..., Delivery],
) -> None:
    """A failed request whose body is malformed is sent again, and delivery does not restart."""
    RecordedRun(journal).begin()
    body = {"code": [], "message": 5, "errors": 7, "limit": "x", "limit_of": {}}
    server.script(Reply(status, body))
    delivery = deliver()
    assert persist(delivery) == 0
    assert (delivery.stats.delivered, journal.dead) == (2, [])
    assert delivery.stats.worker_restarts == 0


def test_an_answer_reports_a_termination(
    server: ScriptedServer,
    journal: InspectableJournal,
    listener: RecordingListener,
    deliver: Callable[..., Delivery],
) -> None:
    """A terminated run's span is accepted, and its answer gives the listener the reason."""
    delivery = deliver()
    run = RecordedRun(journal).begin()
    assert delivery.flush(30) == 0
    server.terminate(run.id, "Too expensive")
    run.span("span-00000001").finish()
    assert delivery.flush(30) == 0
    assert listener.terminations == [(run.id, "Too expensive")]
    assert server.spans["span-00000001"]["status"] == "complete"
    assert journal.dead == []


@pytest.mark.parametrize("status", [None, 404, 405])
def test_a_termination_reaches_an_idle_host(
    server: ScriptedServer,
    journal: InspectableJournal,
    listener: RecordingListener,
    deliver: Callable[..., Delivery],
    status: int | None,
) -> None:
    """Heartbeats name open runs that record nothing; without heartbeats they are polled."""
    if status is not None:
        unknown = Reply(status, {"status": "error", "code": "not_found", "message": "Unknown"})
        server.script(unknown, path="*/heartbeat")
    delivery = deliver(heartbeat_interval=0.05, poll_interval=0.05)
    run = RecordedRun(journal).begin()
    RecordedRun(journal, "run-that-is-over").begin().finish()
    listener.open = [run.id, "run-that-nobody-registered"]
    assert delivery.flush(30) == 0
    server.terminate(run.id, "Enough")
    until(lambda: listener.terminations)
    assert listener.terminations[0] == (run.id, "Enough")
    beats = [one for one in server.requests if one.path.endswith("/heartbeat")]
    assert beats[0].json == {"ids": listener.open}
    polled = {one.path for one in server.requests if one.method == "GET"}
    assert bool(polled) == (status is not None)
    if status is not None:
        assert len(beats) == 1
    assert not any("run-that-is-over" in path for path in polled)


def test_a_listener_that_fails_harms_nothing(
    server: ScriptedServer,
    journal: InspectableJournal,
    listener: RecordingListener,
    deliver: Callable[..., Delivery],
) -> None:
    """An exception of the listener is logged, and delivery continues."""

    def fail(run_id: str, reason: str | None) -> None:
        raise ValueError(run_id, reason)

    listener.terminated = fail  # type: ignore[method-assign]
    delivery = deliver()
    run = RecordedRun(journal).begin()
    assert delivery.flush(30) == 0
    server.terminate(run.id, "Enough")
    run.span("span-00000001")
    assert delivery.flush(30) == 0
    assert delivery.stats.worker_restarts == 0


def test_a_backlog_is_sent_at_intervals(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """When the server is back, a backlog is sent at intervals."""
    server.script(Reply.error(503, "unexpected", "Busy"))
    delivery = deliver(batch_items=10, interval=60)
    spans(RecordedRun(journal).begin(), 200)
    assert delivery.flush(0.3) > 300
    until(lambda: delivery.stats.last_error)
    delivery.flush(0.3)
    until(lambda: len(server.spans) == 8)
    assert bulks(server) == [10, 10]
    time.sleep(0.3)  # as long as the whole delivery takes in the other tests
    assert bulks(server) == [10, 10]


def test_bodies_are_compressed_once_the_server_says_so(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """Bodies are compressed once an answer names gzip; small ones never, and none after a 415."""
    run = RecordedRun(journal)

    def reply(*keys: str, **headers: str) -> Reply:
        outputs: dict[str, Any] = {key: {"status": "success"} for key in keys}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Reply(200, {"status": "success", "outputs": outputs}, named)

    large = json.dumps({"text": "word " * 1000})
    delivery = deliver()
    server.script(reply("span-00000001-create", Accept_Encoding="gzip, identity"))
    run.create("span-00000001", large)
    assert delivery.flush(30) == 0
    server.script(reply("span-00000002-create", Accept_Encoding="gzip"))
    run.create("span-00000002", large)
    assert delivery.flush(30) == 0
    server.script(reply("span-00000003-create", Accept_Encoding="gzip"))
    run.create("span-00000003")
    assert delivery.flush(30) == 0
    server.script(Reply.error(415, "bad_request", "No"), reply("span-00000004-create"))
    run.create("span-00000004", large)
    assert delivery.flush(30) == 0
    encodings = [request.headers.get("content-encoding") for request in server.requests]
    assert encodings == [None, "gzip", None, "gzip", None]
    sent = json.loads(gzip.decompress(server.requests[1].body))
    assert sent["items"][0]["payload"] == json.loads(large)
    assert len(server.requests[1].body) < 1000


def test_payloads_of_a_megabyte_go_through(
    server: ScriptedServer, journal: InspectableJournal, deliver: Callable[..., Delivery]
) -> None:
    """Bulk requests are split by size, and a large one causes no warning of the HTTP library."""
    run = RecordedRun(journal).begin()
    for number in range(6):
        run.span(f"span-{number:08}", json.dumps({"text": "x" * 1_000_000}))
    assert deliver().flush(60) == 0
    assert {len(span["payload"]["text"]) for span in server.spans.values()} == {1_000_000}
    assert all(len(request.body) <= 4 * 2**20 for request in server.requests)
    assert sum(bulks(server)) == 8


def test_a_failing_server_is_logged_once(
    server: ScriptedServer,
    journal: InspectableJournal,
    deliver: Callable[..., Delivery],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Many failures give one warning, without the token, the body or the server's text."""
    server.script(*[Reply.error(500, "unexpected", "said-by-the-server")] * 5)
    spans(RecordedRun(journal).begin(), 3, '{"secret":"in-a-payload"}')
    delivery = deliver()
    assert persist(delivery) == 0
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "status 500" in warnings[0]
    recorders = "\n".join(r.getMessage() for r in caplog.records if r.name == "prefactor_recorder")
    for text in (server.token, "in-a-payload", "said-by-the-server"):
        assert text not in recorders
