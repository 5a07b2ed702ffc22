"""Probes, metrics and logs of real server processes."""

import asyncio
import json
import re
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from front_door import ask, bulk_of_spans, register
from prometheus_client import CollectorRegistry

from checkout import ROOT
from live_server import LiveServer, start_server
from prefactor_server.http.metrics import Metrics
from prefactor_server.http.probes import Readiness
from prefactor_server.storage.standby import StandbyUse

Serve = Callable[..., LiveServer]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers on one database; those still running at the end are killed."""
    started: list[LiveServer] = []

    def start(*flags: str) -> LiveServer:
        started.append(start_server(tmp_path, *flags))
        return started[-1]

    yield start
    for server in started:
        server.kill()


def metric(server: LiveServer, name: str) -> float:
    """Return a metric's value, with its labels as they are written; 0 if it has none yet."""
    for line in ask(server, "GET", "/metrics", token="").text.splitlines():
        if line.startswith(name + " "):
            return float(line.rpartition(" ")[2])
    return 0.0


def log(server: LiveServer) -> list[dict[str, object]]:
    """Return the lines of the log, without the messages meant for a person."""
    return [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]


def test_health_and_readiness_need_no_token(serve: Serve) -> None:
    """Without a token, a server that answers is alive and one that can write is ready."""
    server = serve()

    alive = ask(server, "GET", "/healthz", token="")
    ready = ask(server, "GET", "/readyz", token="")

    assert (alive.status, alive.body) == (200, {"status": "alive"})
    assert (ready.status, ready.body) == (200, {"status": "ready"})
    assert ready.headers["cache-control"] == "no-store"
    assert ask(server, "HEAD", "/readyz", token="").status == 200


def test_probes_accept_only_get(serve: Serve) -> None:
    """Any method except GET goes to the API, which has nothing at these paths."""
    server = serve()

    answer = ask(server, "POST", "/healthz", {})

    assert (answer.status, answer.body["code"]) == (404, "not_found")


async def test_waiting_probes_share_the_result_of_a_slow_check() -> None:
    """Probes that arrive during a slow check get its result, and no checks of their own."""
    now, checks = [0.0], [0]

    async def check() -> None:
        checks[0] += 1
        await asyncio.sleep(0)
        now[0] += 5.0

    readiness = Readiness(check, timer=lambda: now[0])

    answers = await asyncio.gather(*(readiness.page() for _ in range(10)))

    assert {answer.status for answer in answers} == {200}
    assert checks == [1]


def test_a_server_without_space_is_alive_and_not_ready(serve: Serve) -> None:
    """Without enough free disk, writes get 503, the server is unready, and reads still work."""
    server = serve()
    register(server, "run-1")
    server.stop()
    full = serve("--min-free-disk-bytes", str(1 << 60))

    ready = ask(full, "GET", "/readyz", token="")
    write = ask(full, "POST", "/api/v1/agent_instance/register", {"agent_id": "agent-1"})
    read = ask(full, "GET", "/api/v1/agent_instance/run-1")

    assert (ready.status, ready.body["status"]) == (503, "unavailable")
    assert "min_free_disk_bytes" in ready.body["reason"]
    assert (write.status, "min_free_disk_bytes" in write.body["message"]) == (503, True)
    assert read.status == 200
    assert ask(full, "GET", "/healthz", token="").status == 200


def test_a_locked_database_is_not_ready(serve: Serve, tmp_path: Path) -> None:
    """A server whose database is locked by another program is not ready."""
    server = serve()
    with closing(sqlite3.connect(tmp_path / "server.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        held = ask(server, "GET", "/readyz", token="")
        other.rollback()

    assert (held.status, held.body["status"]) == (503, "unavailable")


def test_a_draining_server_is_not_ready(serve: Serve) -> None:
    """After SIGTERM the server is not ready, keeps answering, and exits with 0."""
    server = serve("--drain-seconds", "8")
    assert ask(server, "GET", "/readyz", token="").status == 200

    server.process.send_signal(signal.SIGTERM)
    while (told := ask(server, "GET", "/readyz", token="")).status == 200:
        time.sleep(0.01)

    assert (told.status, told.body["status"]) == (503, "stopping")
    assert register(server, "run-1")["id"] == "run-1"
    assert ask(server, "GET", "/healthz", token="").status == 200
    assert server.process.wait(30) == 0


def test_a_second_signal_does_not_wait(serve: Serve) -> None:
    """A second signal stops the server at once, even while it drains."""
    server = serve("--drain-seconds", "600")

    server.process.send_signal(signal.SIGTERM)
    while ask(server, "GET", "/readyz", token="").status == 200:
        time.sleep(0.01)
    server.process.send_signal(signal.SIGTERM)

    assert server.process.wait(30) == 0


def test_requests_are_counted_by_operation_and_status(serve: Serve) -> None:
    """Answers, refusals and their codes are counted under the requested operation."""
    server = serve()
    register(server, "run-1")
    ask(server, "GET", "/api/v1/agent_instance/run-1")
    ask(server, "GET", "/api/v1/agent_instance/nobodys")
    ask(server, "GET", "/api/v1/nothing-here")
    ask(server, "GET", "/api/v1/ping", token="wrong")

    requests = 'prefactor_requests_total{operation="%s",status="%d"}'
    assert metric(server, requests % ("agent_instances.register", 200)) == 1
    assert metric(server, requests % ("agent_instances.show", 200)) == 1
    assert metric(server, requests % ("agent_instances.show", 404)) == 1
    assert metric(server, requests % ("", 404)) == 1
    assert metric(server, 'prefactor_refusals_total{code="not_found"}') == 2
    assert metric(server, 'prefactor_refusals_total{code="bad_authtoken"}') == 1
    count = 'prefactor_request_seconds_count{operation="agent_instances.show"}'
    assert metric(server, count) == 2


def test_writes_are_counted_one_by_one(serve: Serve) -> None:
    """Bulk items are counted by their outcome, and commits are counted too."""
    server = serve()
    register(server, "run-1")
    bulk = bulk_of_spans("run-1", 0, 5)
    for _ in range(2):
        assert ask(server, "POST", "/api/v1/bulk", bulk).status == 200
    clash = bulk_of_spans("run-1", 5, 1, id="run-1-span-0")
    ask(server, "POST", "/api/v1/bulk", clash)

    commands = 'prefactor_commands_total{operation="agent_spans.create",outcome="%s"}'
    assert metric(server, commands % "done") == 5
    assert metric(server, commands % "replayed") == 5
    assert metric(server, commands % "invalid_action") == 1
    assert metric(server, "prefactor_batch_commands_sum") >= 12
    assert metric(server, "prefactor_commit_seconds_count") >= 4
    assert metric(server, "prefactor_failed_batches_total") == 0
    assert metric(server, "prefactor_queue_bytes") == 0
    assert metric(server, "prefactor_queue_requests") == 0
    assert metric(server, "process_resident_memory_bytes") > 1_000_000


def test_metrics_have_no_labels_from_callers(serve: Serve) -> None:
    """Callers' ids, paths and texts are never labels, because their number is unbounded."""
    server = serve()
    register(server, "made-up-run", agent_id="made-up-agent")
    ask(server, "GET", "/api/v1/made-up-path")
    ask(server, "MADEUP", "/api/v1/ping")

    text = ask(server, "GET", "/metrics", token="").text
    assert not re.search(r"made-?up", text, re.IGNORECASE)


def test_metrics_can_be_switched_off(serve: Serve) -> None:
    """With --no-metrics, /metrics does not exist, and the probes still work."""
    server = serve("--no-metrics")

    assert ask(server, "GET", "/metrics", token="").status == 404
    assert ask(server, "GET", "/readyz", token="").status == 200


def test_the_log_has_start_and_stop(serve: Serve) -> None:
    """The first and last log lines say that the server started, where, and that it stopped."""
    server = serve("--slow-request-ms", "0")
    ask(server, "GET", "/api/v1/ping")
    assert server.stop() == 0

    lines = log(server)
    assert [line["event"] for line in lines] == ["started", "stopping", "stopped"]
    assert (lines[0]["url"], lines[0]["pid"]) == (server.url, server.pid)
    assert lines[1]["signal"] == "SIGTERM"


def test_every_request_is_logged_on_request(serve: Serve) -> None:
    """With --log-requests each request has a line with its id and without its contents."""
    server = serve("--log-requests", "--slow-request-ms", "0")
    answer = ask(
        server, "POST", "/api/v1/agent", {"details": {"name": "a-secret-name", "id": "a-secret"}}
    )
    refused = ask(server, "GET", "/api/v1/agent/a-secret-id")
    server.stop()

    lines = {line.get("request_id"): line for line in log(server)}
    line = lines[answer.headers["x-request-id"]]
    assert (line["event"], line["operation"], line["status"]) == ("request", "agents.create", 200)
    assert lines[refused.headers["x-request-id"]]["code"] == "not_found"
    assert "secret" not in server.output
    assert server.token not in server.output


def test_a_slow_request_has_a_line(serve: Serve, tmp_path: Path) -> None:
    """Only a request that takes longer than slow_request_ms is logged as slow."""
    server = serve("--slow-request-ms", "200")
    ask(server, "GET", "/api/v1/ping")
    register(server, "run-1")
    with closing(sqlite3.connect(tmp_path / "server.db")) as other, ThreadPoolExecutor() as threads:
        other.execute("BEGIN IMMEDIATE")
        asked = threads.submit(
            ask, server, "POST", "/api/v1/agent_instance/register", {"agent_id": "agent-1"}
        )
        while metric(server, "prefactor_queue_bytes") == 0:
            time.sleep(0.01)
        time.sleep(0.3)  # the limit and some more, since the request is waiting
        other.rollback()
        held = asked.result()
    server.stop()

    assert held.status == 200
    lines = {line["request_id"]: line for line in log(server) if "request_id" in line}
    assert held.headers["x-request-id"] in lines
    # On a busy machine, the others may be slow as well.
    for line in lines.values():
        assert line["event"] == "request_slow"
        assert float(str(line["milliseconds"])) >= 200


def test_every_metric_is_in_the_reference(serve: Serve) -> None:
    """Each metric of ours has a row on its page, and each row names an existing one."""
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\| `(prefactor_\w+)` ", page, re.MULTILINE))
    text = ask(serve(), "GET", "/metrics", token="").text
    # Only a server with a standby has its metrics.
    metrics = Metrics(CollectorRegistry(), version="1")
    metrics.watch_standby(StandbyUse())
    text += metrics.render()[1].decode()
    found = set(
        re.findall(r"^# TYPE (prefactor_\w+) (?:counter|histogram|gauge)$", text, re.MULTILINE)
    )

    assert {name for name in found if not name.endswith("_created")} == described
