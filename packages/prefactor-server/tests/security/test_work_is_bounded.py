"""Requests that cost much in many small parts, against a real process: bounded and interrupted.

All items of a request share one budget. Beyond it, summaries and validations are null, everything
is stored, and other callers are answered meanwhile.
"""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from front_door import Answer, ask
from raw_socket import connected

from live_server import LiveServer, start_server

_numbers = count(1)

COSTLY = {"a": {"items": {"anyOf": [{"const": f"v{n}"} for n in range(1_500)]}}}
LARGE = {f"property_{n}": {"type": "string", "description": "in some words"} for n in range(3_000)}


def _type(**fields: Any) -> dict[str, Any]:
    return {"name": "t0", "params_schema": {}, **fields}


def _patterns(number: int) -> dict[str, Any]:
    return {f"p{n}": {"pattern": f"^{number}_{n}_[a-z0-9]{{1,40}}$"} for n in range(64)}


TYPES: dict[str, list[dict[str, Any]]] = {
    "a loop over a costly filter": [
        _type(template="{% for a in (1..200) %}{{ s | escape_once | size }}{% endfor %}")
    ],
    "a loop that looks nothing up": [
        _type(
            template="{% for a in (1..200) %}" + "{% if 1 == 1 %}{% endif %}" * 50 + "{% endfor %}"
        )
    ],
    "types with many patterns": [
        _type(name=f"t{n}", params_schema={"properties": _patterns(n)}) for n in range(200)
    ],
    "types with many tags": [
        _type(name=f"t{n}", template="".join(f"{{{{ a{n}_{i} | upcase }}}}" for i in range(150)))
        for n in range(200)
    ],
    "types with large schemas": [
        _type(name=f"t{n}", params_schema={"title": f"{n}", "properties": LARGE}) for n in range(40)
    ],
    "a schema that is costly to check": [_type(params_schema={"properties": COSTLY})],
    "a pattern that is costly to match": [
        _type(params_schema={"properties": {"s": {"pattern": "[ab]*a[ab]{200}c"}}})
    ],
}
PAYLOAD = {"s": "ab&a" * 512, "a": ["v1499"] * 300}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with its default limits."""
    started = start_server(tmp_path_factory.mktemp("bounded"))
    yield started
    assert started.stop() == 0, started.output


@pytest.mark.parametrize("kind", TYPES)
def test_work_over_the_budget_is_left_out(server: LiveServer, kind: str) -> None:
    """Every span is stored, the last ones without check or summary, and probes are answered."""
    run_id, types = f"run-{next(_numbers)}", TYPES[kind]
    declared = {"external_identifier": run_id, "span_type_schemas": types}
    fields = {"agent_id": "agent-1", "id": run_id, "agent_schema_version": declared}
    registered, _ = _answered_while(server, "POST", "/agent_instance/register", fields)
    assert registered.status == 200

    answer, probes = _answered_while(server, "POST", "/bulk", _bulk(run_id, len(types)))

    outputs = list(answer.body["outputs"].values())
    assert len(outputs) == 999
    assert {one["status"] for one in outputs} == {"success"}
    details = [one["details"] for one in outputs]
    assert all(one["schema_registered"] for one in details)
    unchecked = [one["payload_validation"] is None for one in details]
    if "template" in types[0]:
        assert details[-1]["summary"] is None
    else:
        assert unchecked[-1]
    stored = ask(server, "GET", f"/api/v1/agent_spans/{details[-1]['id']}")
    assert stored.body["details"]["payload"] == PAYLOAD
    assert probes > 0


def test_a_costly_schema_version_is_compiled_in_parts(server: LiveServer) -> None:
    """Reading schemas compiles them within the same budget, and another read continues it."""
    run_id = f"run-{next(_numbers)}"
    types = [
        _type(name=f"t{n}", params_schema={"title": f"shown {n}", "properties": LARGE})
        for n in range(40)
    ]
    declared = {"external_identifier": run_id, "span_type_schemas": types}
    fields = {"agent_id": "agent-1", "id": run_id, "agent_schema_version": declared}
    registered = ask(server, "POST", "/api/v1/agent_instance/register", fields)
    path = f"/agent_schema_version/{registered.body['details']['agent_schema_version_id']}"

    answer, probes = _answered_while(server, "GET", path)

    shown = answer.body["details"]["span_type_schemas"].values()
    validations = [one["params_schema_validation"] for one in shown]
    assert {one["status"] for one in validations} == {"success", "error"}
    messages = {one["message"] for one in validations if one["message"]}
    assert all("a later request may compile it" in message for message in messages)
    assert all(one["params_schema"]["properties"] == LARGE for one in shown)
    assert probes > 0


def test_a_flood_of_types_is_refused(server: LiveServer) -> None:
    """A registration with more than a thousand span types is a 422."""
    types = [_type(name=f"t{n}") for n in range(100_000)]
    declared = {"span_type_schemas": types}
    fields = {"agent_id": "agent-1", "agent_schema_version": declared}

    answer, _ = _answered_while(server, "POST", "/agent_instance/register", fields)

    assert answer.status == 422
    assert "must have at most 1000 schemas" in answer.text


@pytest.mark.parametrize(
    ("values", "status"),
    [
        pytest.param([[[[]]]] * 155_000, 413, id="nested"),
        pytest.param([[]] * 600_000, 400, id="lists"),
        pytest.param([1] * 900_000, 413, id="numbers"),
        pytest.param([1] * 1_100_000, 400, id="too many numbers"),
        pytest.param(['[,\\"' * 600_000, ["x"]], 413, id="texts"),
    ],
)
def test_a_body_of_very_many_values_is_refused(
    server: LiveServer, values: list[Any], status: int
) -> None:
    """A payload over its limit is decoded in parts, and refused before it fills the memory."""
    details = {"agent_instance_id": "x", "schema_name": "t", "payload": {"values": values}}
    answer, _ = _answered_while(server, "POST", "/agent_spans", {"details": details})
    assert answer.status == status, answer.text


def test_an_abandoned_request_is_dropped(server: LiveServer) -> None:
    """If a caller disconnects while its request is processed, its spans are not written."""
    types = TYPES["a loop over a costly filter"]
    declared = {"span_type_schemas": types}
    for run_id in ("left", "stayed"):
        fields = {"agent_id": "agent-1", "id": run_id, "agent_schema_version": declared}
        assert ask(server, "POST", "/api/v1/agent_instance/register", fields).status == 200

    with connected(server) as line:
        line.send(line.request("POST", "/api/v1/bulk", body=json.dumps(_bulk("left", 1)).encode()))
        assert ask(server, "GET", "/healthz").status == 200
    answer = ask(server, "POST", "/api/v1/bulk", _bulk("stayed", 1))

    assert len(answer.body["outputs"]) == 999
    for run_id, spans in (("left", 0), ("stayed", 999)):
        run = ask(server, "GET", f"/api/v1/agent_instance/{run_id}").body["details"]
        assert run["span_counts"]["total"] == spans


def test_a_busy_server_stops_on_sigterm(tmp_path: Path) -> None:
    """SIGTERM during a costly request ends the process normally."""
    server = start_server(tmp_path / "ends")
    declared = {"span_type_schemas": TYPES["a loop over a costly filter"]}
    fields = {"agent_id": "agent-1", "id": "run-1", "agent_schema_version": declared}
    assert ask(server, "POST", "/api/v1/agent_instance/register", fields).status == 200

    body = json.dumps(_bulk("run-1", 1)).encode()

    with connected(server) as line, ThreadPoolExecutor(1) as threads:
        line.send(line.request("POST", "/api/v1/bulk", body=body))
        assert ask(server, "GET", "/healthz").status == 200
        stopped = threads.submit(server.stop)
        answer = line.read()

    assert len(answer.body["outputs"]) == 999
    assert stopped.result() == 0
    assert "Traceback" not in server.output
    shutil.rmtree(tmp_path / "ends")


def _bulk(run_id: str, types: int) -> dict[str, Any]:
    items = [
        {
            "_type": "agent_spans/create",
            "idempotency_key": f"{run_id}-span-{number:04}",
            "agent_instance_id": run_id,
            "schema_name": f"t{number % types}",
            "payload": PAYLOAD,
        }
        for number in range(999)
    ]
    return {"items": items}


def _answered_while(
    server: LiveServer, method: str, path: str, body: Any = None
) -> tuple[Answer, int]:
    """Return a request's answer, and how many probes were answered before it."""
    probes = 0
    with ThreadPoolExecutor(1) as threads:
        asked: Future[Answer] = threads.submit(ask, server, method, f"/api/v1{path}", body)
        while not asked.done():
            assert ask(server, "GET", "/healthz").status == 200
            probes += not asked.done()
    return asked.result(), probes
