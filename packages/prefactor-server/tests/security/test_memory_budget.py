"""The memory of many requests: bounded bodies, one budget, and callers that do not read."""

import gzip
import json
import random
import string
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from front_door import ask, bulk_of_spans, register
from raw_socket import PATIENCE, RawSocket, connected
from resident_memory import resident_megabytes

from live_server import LiveServer, start_server
from patience import patience
from prefactor_server.api.operations import OPERATIONS

MEGABYTE = 1024 * 1024
BUDGET = 24 * MEGABYTE
LARGEST = 10 * MEGABYTE
SECONDS = 2
PING = "/api/v1/ping"
AGENT = "/api/v1/agent"
BULK = "/api/v1/bulk"
ACCEPT = "/api/v1/admin_user_invite/accept"
SKELETON = "/api/v1/agent_instance/run-long/skeleton"
EXPORT = "/api/v1/agent_instance/run-large/agent_context"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with a small budget, and with a run whose export has six megabytes."""
    flags = ("--max-buffered-bytes", str(BUDGET), "--send-timeout-seconds", str(SECONDS))
    server = start_server(tmp_path_factory.mktemp("budget"), *flags)
    register(server, "run-large")
    letters = "".join(random.Random(1).choices(string.ascii_letters, k=1000))
    body = bulk_of_spans("run-large", 0, 6, payload={"text": letters * 1000})
    assert ask(server, "POST", BULK, body).status == 200
    yield server
    assert server.stop() == 0, server.output


def _held(server: LiveServer) -> float:
    text = ask(server, "GET", "/metrics").text
    rows = (row for row in text.splitlines() if row.startswith("prefactor_buffered_bytes "))
    return float(next(rows).rpartition(" ")[2])


def _until_held(server: LiveServer, least: float, most: float) -> None:
    until = time.monotonic() + patience(PATIENCE)
    while not least <= (held := _held(server)) <= most:
        assert time.monotonic() < until, held


def _part(line: RawSocket, path: str, size: int, *headers: str) -> None:
    """Send a head that announces ten megabytes, and some of them."""
    line.send(line.request("POST", path, f"Content-Length: {LARGEST}", *headers) + b" " * size)


@contextmanager
def _deaf(server: LiveServer, *headers: str) -> Iterator[RawSocket]:
    """A caller that requested a large answer and reads nothing."""
    with connected(server) as line:
        line.shrink_buffer()
        line.send(line.request("GET", EXPORT, *headers))
        yield line


def test_a_caller_without_a_token_may_send_four_kilobytes() -> None:
    """Public operations accept no larger body, because anyone can send to them."""
    public = [one for one in OPERATIONS if one.access == "public"]

    assert {one.name for one in public} >= {"admin_user_invites.accept"}
    assert all(0 < (one.max_body_bytes or 10**9) <= 4096 for one in public)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("path", [ACCEPT, "/api/v1/openapi"])
def test_bodies_without_a_token_use_no_memory(server: LiveServer, framing: str, path: str) -> None:
    """Forty bodies of ten megabytes without a token are refused, using almost no memory."""
    before = resident_megabytes(server.pid)
    method = "POST" if path == ACCEPT else "GET"
    size = f"Content-Length: {LARGEST}" if framing == "length" else "Transfer-Encoding: chunked"
    begun = b"" if framing == "length" else b"%x\r\n" % LARGEST
    head = f"{method} {path} HTTP/1.1\r\nHost: here\r\n{size}\r\n\r\n".encode()
    with ExitStack() as stack:
        lines = [stack.enter_context(connected(server)) for _ in range(40)]
        for line in lines:
            line.send(head + begun + b" " * MEGABYTE)

        answers = [line.read() for line in lines]
        assert {answer.status for answer in answers} == {413}
        assert {answer.body["limit"] for answer in answers} <= {1024, 4096}
        assert ask(server, "GET", PING).status == 200
        assert resident_megabytes(server.pid) - before < 30
        _until_held(server, 0, 0)


def test_a_body_with_a_wrong_token_is_dropped(server: LiveServer) -> None:
    """A body with a wrong token is dropped as it arrives, whatever its size."""
    with connected(server) as line:
        line.token = "wrong"
        _part(line, BULK, LARGEST)
        assert line.read().status == 401
        _until_held(server, 0, 0)
        line.token = server.token
        assert line.ask("GET", PING).status == 200


def test_operations_without_payloads_take_small_bodies(server: LiveServer, line: RawSocket) -> None:
    """An operation without payloads refuses a body over a quarter of a megabyte."""
    line.send(line.request("POST", AGENT, f"Content-Length: {LARGEST}"))
    answer = line.read()
    assert (answer.status, answer.body["limit"]) == (413, 256 * 1024)

    details = {
        "agent_instance_id": "run-large",
        "schema_name": "s",
        "payload": {"a": "b" * 500_000},
    }
    body = json.dumps({"details": details}).encode()
    with connected(server) as other:
        assert other.ask("POST", "/api/v1/agent_spans", body=body).status == 200


@pytest.mark.parametrize("headers", [(), ("Content-Encoding: gzip",)], ids=["plain", "gzip"])
def test_bodies_over_the_budget_get_a_retry_after(
    server: LiveServer, headers: tuple[str, ...]
) -> None:
    """Half-sent bodies use up the budget; the next one is a 503 with Retry-After."""
    with ExitStack() as stack:
        lines = [stack.enter_context(connected(server)) for _ in range(4)]
        for line in lines:
            _part(line, BULK, 9 * MEGABYTE, *headers)
        refused: list[RawSocket] = []
        while len(refused) < 2:
            refused = [line for line in lines if line.has_answer()]
        answers = [line.read() for line in refused]

        assert len(answers) == 2
        assert {answer.status for answer in answers} == {503}
        assert {answer.headers["retry-after"] for answer in answers} == {"1"}
        _until_held(server, 17 * MEGABYTE, BUDGET)
        assert ask(server, "POST", AGENT, {"details": {"name": "beside"}}).status == 200
    _until_held(server, 0, 0)
    assert ask(server, "POST", BULK, {"items": []}).status == 422


def test_a_compressed_body_counts_inflated(server: LiveServer) -> None:
    """A compressed body counts with its inflated size, until it is answered."""
    body = gzip.compress(b" " * (9 * MEGABYTE) + b"{}")
    with ExitStack() as stack:
        for _ in range(2):
            _part(stack.enter_context(connected(server)), BULK, 8 * MEGABYTE)
        _until_held(server, 16 * MEGABYTE, 17 * MEGABYTE)
        with connected(server) as line:
            answer = line.ask("POST", BULK, "Content-Encoding: gzip", body=body)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    _until_held(server, 0, 0)
    with connected(server) as line:
        assert line.ask("POST", BULK, "Content-Encoding: gzip", body=body).status == 422


@pytest.mark.parametrize("headers", [(), ("Connection: close",)], ids=["kept", "closing"])
def test_unread_answers_are_bounded_and_cut_off(
    server: LiveServer, headers: tuple[str, ...]
) -> None:
    """Ten callers that read nothing use no more than the budget, and lose their connections."""
    before = resident_megabytes(server.pid)
    with ExitStack() as stack:
        lines = [stack.enter_context(_deaf(server, *headers)) for _ in range(10)]
        _until_held(server, 5 * MEGABYTE, BUDGET)
        assert ask(server, "GET", PING).status == 200
        assert resident_megabytes(server.pid) - before < 4 * BUDGET / MEGABYTE
        _until_held(server, 0, 0)

        statuses = {line: line.read(without_body=True).status for line in lines}
        assert set(statuses.values()) == {200, 503}
        received = [len(line.rest()) for line in lines if statuses[line] == 200]
        assert max(received) < 6_000_000
    assert ask(server, "GET", EXPORT).status == 200


def test_a_slowly_read_answer_is_complete(server: LiveServer) -> None:
    """The timeout counts from the caller's last read, not from the start."""
    with _deaf(server) as line:
        begun = time.monotonic()
        while time.monotonic() - begun < 3 * SECONDS:
            line.receive(100_000)
            time.sleep(SECONDS / 10)
        answer = line.read()

    # Compare outside of `assert`: a failure would print six megabytes.
    whole = answer.status == 200 and len(answer.text) > 6_000_000
    assert whole


def test_a_skeleton_reserves_memory_before_it_is_read(server: LiveServer) -> None:
    """All spans of a run are not read while other requests hold the memory for their rows."""
    register(server, "run-long")
    for first in range(0, 8000, 1000):
        body = bulk_of_spans("run-long", first, 1000, payload={})
        assert ask(server, "POST", BULK, body).status == 200
    with ExitStack() as stack:
        for _ in range(2):
            _part(stack.enter_context(connected(server)), BULK, 9 * MEGABYTE + MEGABYTE // 2)
        _until_held(server, 19 * MEGABYTE, 20 * MEGABYTE)
        refused = ask(server, "GET", SKELETON)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    _until_held(server, 0, 0)
    answer = ask(server, "GET", SKELETON)
    assert (answer.status, answer.body["details"]["total"]) == (200, 8000)
    assert len(answer.text) < 3 * MEGABYTE
    _until_held(server, 0, 0)


def test_reads_in_a_bulk_request_count_one_by_one(server: LiveServer) -> None:
    """Large reads in one request count one by one, and the item over the budget fails."""
    items = [
        {
            "_type": "agent_spans/show",
            "idempotency_key": f"read-large-{number}",
            "agent_span_id": f"run-large-span-{number % 6}",
        }
        for number in range(100)
    ]
    answer = ask(server, "POST", BULK, {"items": items})

    assert answer.status == 200
    outputs = list(answer.body["outputs"].values())
    assert 10 < len(outputs) < 30
    assert [one["status"] for one in outputs] == ["success"] * (len(outputs) - 1) + ["error"]
    _until_held(server, 0, 0)


def test_a_budget_below_two_requests_is_refused(tmp_path: Path) -> None:
    """The server does not start with a budget below two of its largest requests."""
    with pytest.raises(Exception, match="before it was ready") as caught:
        start_server(tmp_path, "--max-buffered-bytes", "1000000")

    (note,) = caught.value.__notes__
    assert "max_buffered_bytes must be at least twice max_request_bytes (20971520)" in note
