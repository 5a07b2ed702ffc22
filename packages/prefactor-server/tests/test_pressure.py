"""A server that is overloaded or stopped under load, with real processes."""

import http.client
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from backends import rows, writes_held
from front_door import ask, bulk_of_spans, register

from live_server import LiveServer, start_server
from patience import patience

Serve = Callable[..., LiveServer]
_SPANS = 20


@pytest.fixture
def serve(tmp_path: Path, database_url: str) -> Iterator[Serve]:
    """Start servers on one database; those still running at the end are killed."""
    started: list[LiveServer] = []

    def start(*flags: str) -> LiveServer:
        started.append(start_server(tmp_path, *flags, database=database_url))
        return started[-1]

    yield start
    for server in started:
        server.kill()


def test_a_full_queue_refuses_writes_until_it_drains(serve: Serve, database_url: str) -> None:
    """While a commit is stuck, further writes get 429 with Retry-After, and none is lost."""
    server = serve("--max-queue-bytes", "1")
    register(server, "run-1")
    first, second = bulk_of_spans("run-1", 0, 1), bulk_of_spans("run-1", 1, 1)
    with ThreadPoolExecutor() as threads:
        with writes_held(database_url):
            waiting = threads.submit(ask, server, "POST", "/api/v1/bulk", first)
            while "prefactor_queue_bytes 0.0" in ask(server, "GET", "/metrics", token="").text:
                time.sleep(0.01)
            refused = ask(server, "POST", "/api/v1/bulk", second)
            read = ask(server, "GET", "/api/v1/agent_instance/run-1")
        taken = waiting.result()

    assert (refused.status, refused.body["code"]) == (429, "unknown")
    assert int(refused.headers["retry-after"]) >= 1
    assert read.status == 200
    assert taken.status == 200
    again = ask(server, "POST", "/api/v1/bulk", second)
    assert again.body["outputs"]["run-1-span-1"]["status"] == "success"
    run = ask(server, "GET", "/api/v1/agent_instance/run-1").body["details"]
    assert run["span_counts"]["total"] == 2


def test_a_token_has_a_rate_limit(serve: Serve) -> None:
    """The setting requests_per_second bounds a token; without it there is no bound."""
    server = serve("--requests-per-second", "1")
    statuses = {ask(server, "GET", "/api/v1/ping").status for _ in range(60)}

    assert statuses == {200, 429}
    assert ask(server, "GET", "/healthz").status == 200


def test_a_stop_under_load_loses_nothing(serve: Serve, database_url: str) -> None:
    """After SIGTERM during bulk requests, every acknowledged write is stored, and the exit is 0."""
    server = serve()
    answered: set[str] = set()
    enough = threading.Event()

    def load(number: int) -> None:
        run_id = f"run-{number}"
        for start in range(0, 1_000_000, _SPANS):
            bulk = bulk_of_spans(run_id, start, _SPANS)
            try:
                answer = ask(server, "POST", "/api/v1/bulk", bulk)
            except (OSError, http.client.HTTPException):
                return
            if answer.status != 200:
                return
            outputs = answer.body["outputs"]
            answered.update(key for key in outputs if outputs[key]["status"] == "success")
            if len(answered) > 40 * _SPANS:
                enough.set()

    for number in range(8):
        register(server, f"run-{number}")
    with ThreadPoolExecutor(8) as threads:
        loads = [threads.submit(load, number) for number in range(8)]
        assert enough.wait(patience(60))
        server.process.send_signal(signal.SIGTERM)
        status = server.process.wait(30)
        for one in loads:
            one.result()

    assert status == 0, server.output
    assert "request_failed" not in server.output
    stored = {row[0] for row in rows(database_url, "SELECT id FROM agent_span")}
    counted = rows(database_url, "SELECT sum(complete_spans) FROM agent_instance")[0][0]
    assert answered <= stored
    assert counted == len(stored)
