"""The memory of a bulk request, whose answer may have many times its size."""

import http.client
import json
import random
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from front_door import ask, bulk_of_spans, register
from resident_memory import peak_megabytes

from live_server import LiveServer, start_server
from patience import patience

_BULK = "/api/v1/bulk"
_MEGABYTE = 1024 * 1024
_SPANS = 150
_PAYLOAD = {"text": "a" * 1_000_000}


@pytest.fixture
def server(tmp_path: Path, database_url: str) -> Iterator[LiveServer]:
    """A server with the run ``run-1``."""
    started = start_server(tmp_path, database=database_url)
    register(started, "run-1")
    yield started
    assert started.stop() == 0, started.output


def _create(server: LiveServer) -> None:
    """Create open spans with a payload of a megabyte each, nine in a request."""
    for start in range(0, _SPANS, 9):
        number = min(9, _SPANS - start)
        body = bulk_of_spans("run-1", start, number, status="active", payload=_PAYLOAD)
        answer = ask(server, "POST", _BULK, body)
        assert answer.body["outputs"][f"run-1-span-{start}"]["status"] == "success"


def _items(kind: str, number: int = _SPANS, **fields: Any) -> Sequence[dict[str, Any]]:
    return [
        {
            "_type": f"agent_spans/{kind}",
            "idempotency_key": f"{kind}-{index:04}",
            "agent_span_id": f"run-1-span-{index}",
            **fields,
        }
        for index in range(number)
    ]


def _metric(server: LiveServer, name: str) -> float:
    text = ask(server, "GET", "/metrics").text
    rows = (row for row in text.splitlines() if row.startswith(f"{name} "))
    return float(next(rows).rpartition(" ")[2])


def test_stored_payloads_take_their_compressed_size(server: LiveServer) -> None:
    """What the server keeps of spans that it has stored is as small as what it has stored."""
    ask(server, "POST", _BULK, bulk_of_spans("run-1", 1000, 9, payload=_PAYLOAD))
    before = peak_megabytes(server.pid)

    _create(server)

    assert peak_megabytes(server.pid) - before < _SPANS * 2 / 3


def test_answers_to_writes_are_not_in_memory_together(server: LiveServer) -> None:
    """A bulk that finishes large spans is answered in full, and so is its repetition.

    The server holds a fraction of the answer, and counts that fraction against its memory budget,
    so that other callers are served meanwhile.
    """
    _create(server)
    before = peak_megabytes(server.pid)
    for _ in range(2):
        connection = http.client.HTTPConnection(server.url[len("http://") :], timeout=patience(60))
        body = json.dumps({"items": _items("finish", result_payload={"n": 1})})
        connection.request("POST", _BULK, body, {"Authorization": f"Bearer {server.token}"})
        response = connection.getresponse()

        # The 16 MiB that the server has produced, without what the connection has taken.
        assert 4 < _metric(server, "prefactor_buffered_bytes") / _MEGABYTE < 24
        assert ask(server, "GET", "/api/v1/agent_instance/run-1").status == 200
        outputs = json.loads(response.read())["outputs"]
        connection.close()

        assert _metric(server, "prefactor_buffered_bytes") == 0
        assert len(outputs) == _SPANS
        assert {one["status"] for one in outputs.values()} == {"success"}
        details = [one["details"] for one in outputs.values()]
        assert {one["status"] for one in details} == {"complete"}
        assert all(one["payload"] == _PAYLOAD for one in details)
        assert all(one["result_payload"] == {"n": 1} for one in details)
    assert peak_megabytes(server.pid) - before < _SPANS * 2 / 3


def test_discarded_values_are_written_in_parts(server: LiveServer) -> None:
    """A bulk that changes large payloads of many spans commits some of them at a time."""
    noise = "".join(random.Random(1).choices(string.ascii_letters, k=1_000_000))
    secret = {"secret": {"$sensitive": "text", "value": "x"}, "noise": noise}
    for start in range(0, 24, 8):
        ask(server, "POST", _BULK, bulk_of_spans("run-1", start, 8, payload=secret))
    before = _metric(server, "prefactor_commit_seconds_count")

    answer = ask(server, "POST", _BULK, {"items": _items("discard_sensitive", 24)})

    assert _metric(server, "prefactor_commit_seconds_count") - before >= 2
    details = [one["details"] for one in answer.body["outputs"].values()]
    assert [one["id"] for one in details] == [f"run-1-span-{index}" for index in range(24)]
    assert all(one["sensitive_discarded"] for one in details)
    assert all(one["payload"]["secret"]["value"] is None for one in details)
    assert all(one["payload"]["noise"] == noise for one in details)


def test_the_quality_of_many_runs_is_written_in_parts(server: LiveServer) -> None:
    """A bulk that evaluates many runs needs several commits, and one that evaluates one does not.

    Each commit loads all of the quality of its runs, whose size is not known before.
    """
    runs = [f"run-{number}" for number in range(2, 42)]
    for run in runs:
        register(server, run)

    def commits(named: Sequence[tuple[str, str]]) -> float:
        before = _metric(server, "prefactor_commit_seconds_count")
        items = [
            {
                "_type": "agent_instances/record_quality",
                "idempotency_key": f"quality-{run}-{name}",
                "agent_instance_id": run,
                "name": name,
                "payload": {"grade": "A"},
            }
            for run, name in named
        ]
        outputs = ask(server, "POST", _BULK, {"items": items}).body["outputs"]
        assert [one["details"]["id"] for one in outputs.values()] == [run for run, _ in named]
        return _metric(server, "prefactor_commit_seconds_count") - before

    assert commits([(run, "helpful") for run in runs]) >= 2
    assert commits([("run-1", f"name-{number}") for number in range(40)]) < 2


def test_sample_spans_are_written_in_parts(server: LiveServer) -> None:
    """A bulk that creates thousands of sample spans needs several commits, and creates them all."""
    item = {"_type": "agent_spans/create_test_spans", "agent_instance_id": "run-1", "count": 100}
    items = [{**item, "idempotency_key": f"sample-{index:04}"} for index in range(60)]
    before = _metric(server, "prefactor_commit_seconds_count")

    outputs = ask(server, "POST", _BULK, {"items": items}).body["outputs"]

    assert {len(one["summaries"]) for one in outputs.values()} == {100}
    assert _metric(server, "prefactor_commit_seconds_count") - before >= 3
    run = ask(server, "GET", "/api/v1/agent_instance/run-1").body["details"]
    assert run["span_counts"]["complete"] == 6000
