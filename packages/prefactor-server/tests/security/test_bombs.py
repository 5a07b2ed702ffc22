"""Schemas and templates made to exhaust the server, sent to a real process.

Each registration is accepted, its spans are stored whole and flagged, and other callers are
answered meanwhile.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from front_door import Answer, ask, register

from live_server import LiveServer

MAX_SUMMARY = 1000
_numbers = count(1)

PAYLOADS: dict[str, dict[str, Any]] = {
    "text": {"text": "a" * 60_000 + "!"},
    "list": {"text": "a", "list": [[number] for number in range(8_000)]},
    "deep": {"text": "a", "next": {"next": {"next": {"next": {"next": {"text": "a" * 20_000}}}}}},
    "number": {"text": "a", "number": 10**4_000},
}
TEMPLATES = {
    "loops": "{% for a in (1..200) %}{% for b in (1..200) %}{{ text | upcase }}"
    + "{% endfor %}" * 2,
    "endless": "{% for a in (1..99999999999) reversed %}x{% endfor %}",
    "list": "{% for a in list %}{% assign b = list | sort | join: text %}{{ b }}{% endfor %}",
    "double": "{% assign a = text %}" + "{% assign a = a | append: a %}" * 60 + "{{ a }}",
    "replace": "{{ text | replace: 'a', text | replace: 'a', text | replace: 'a', text }}",
    "capture": "{% capture a %}xx{% endcapture %}"
    + "{% capture a %}{{ a }}{{ a }}{% endcapture %}" * 50
    + "{{ a }}",
    "power": "{{ number" + " | times: number" * 60 + " }}",
    "nest": "{% if text %}" * 99 + "x" + "{% endif %}" * 99,
    "open": "{{" * 4_000,
    "brackets": "{{ a" + "[" * 7_000 + " }}",
    "include": "{% include 'secret' %}{% render 'secret' %}",
    "internals": "{{ text.__class__.__mro__ }}{{ text.__globals__ }}",
}
PATTERNS = {
    "plus": "^(a+)+$",
    "either": "^(a|aa)+$",
    "star": "^(.*a){25}$",
    "twice": "(x+x+)+y",
    "back": r"^(a+)\1+$",
    "ahead": "^(?=(a+))+b$",
    "count": "^((a{1,500}){1,500}){1,500}$",
    "long": "(" * 3_000 + "a" + ")" * 3_000,
    "classes": r"^[\s\S]*[\w\W]*[\d\D]*b$" * 40,
    "wrong": "(((",
}


def _chain(length: int) -> dict[str, Any]:
    """Definitions that each refer twice to the next."""
    links = {f"d{one}": {"allOf": [{"$ref": f"#/$defs/d{one + 1}"}] * 2} for one in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**links, f"d{length}": {"type": "object"}}}


def _nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {"allOf": [schema]}
    return schema


SCHEMAS: dict[str, dict[str, Any]] = {
    "chain": _chain(40),
    "itself": {"$ref": "#"},
    "doubling": {"properties": {"next": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}},
    "nested": _nested(40),
    "unique": {"properties": {"list": {"uniqueItems": True}}},
    "remote": {"$ref": "http://127.0.0.1:1/schema.json"},
    "file": {"$ref": "file:///etc/passwd"},
    "metaschema": {"$schema": "http://127.0.0.1:1/schema", "type": "object"},
    "enumeration": {"properties": {"text": {"enum": [f"a{one}" for one in range(9_000)]}}},
    "fraction": {"properties": {"number": {"multipleOf": 1e-300}}},
    "names": {"patternProperties": {"^(t+)+$": {"type": "string"}}},
    "no-schema": {"type": 5, "properties": [], "pattern": {}},
}
BOMBS = (
    [pytest.param({"template": one}, id=f"template-{name}") for name, one in TEMPLATES.items()]
    + [
        pytest.param({"params_schema": {"properties": {"text": {"pattern": one}}}}, id=f"re-{name}")
        for name, one in PATTERNS.items()
    ]
    + [pytest.param({"params_schema": one}, id=f"schema-{name}") for name, one in SCHEMAS.items()]
)


@pytest.fixture(scope="module")
def process_database(own_database_url: str) -> str:
    """Both backends, because the data sent here is stored."""
    return own_database_url


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_affects_no_other_caller(server: LiveServer, bomb: dict[str, Any]) -> None:
    """The run is registered, each span is stored whole, and other callers are answered."""
    run_id = f"run-{next(_numbers)}"
    kind = {"name": "bomb", "params_schema": {"type": "object"}, **bomb}
    declared = {"external_identifier": run_id, "span_type_schemas": [kind]}
    with ThreadPoolExecutor(len(PAYLOADS)) as threads:
        taken = threads.submit(register, server, run_id, agent_schema_version=declared)
        _answered_while(server, [taken])
        spans = [threads.submit(_span, server, run_id, payload) for payload in PAYLOADS.values()]
        _answered_while(server, spans)

    for payload, span in zip(PAYLOADS.values(), spans, strict=True):
        answer = span.result()
        assert answer.status == 200, answer.text
        details = answer.body["details"]
        assert details["payload"] == payload
        assert len(details["summary"] or "") <= MAX_SUMMARY
        assert "root:" not in answer.text
        # Null means unchecked; otherwise only an error has a message.
        verdict = details["payload_validation"] or {"status": "error", "message": "unchecked"}
        assert verdict["status"] == ("error" if verdict["message"] else "success")
        shown = ask(server, "GET", f"/api/v1/agent_spans/{details['id']}")
        assert shown.body["details"]["payload"] == payload


def _span(server: LiveServer, run_id: str, payload: dict[str, Any]) -> Answer:
    details = {"agent_instance_id": run_id, "schema_name": "bomb", "payload": payload}
    return ask(server, "POST", "/api/v1/agent_spans", {"details": details})


def _answered_while(server: LiveServer, others: list[Future[Any]]) -> None:
    """Ask at least once, and until the other requests end."""
    while True:
        assert ask(server, "GET", "/api/v1/ping").status == 200
        if all(other.done() for other in others):
            return
