"""The OpenAPI document is complete, consistent, and matches the server."""

import re
from typing import Any

import jsonschema_rs
import pytest

from prefactor_server._version import __version__
from prefactor_server.api.kernel.openapi import openapi_document
from prefactor_server.api.kernel.operation import RawOperation, Read, Redirecting, Streamed, Write
from prefactor_server.api.operations import ITEMS, OPERATIONS

DOCUMENT = openapi_document(OPERATIONS)


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        here = {value["$ref"]} if "$ref" in value else set()
        return here.union(*(_references(one) for one in value.values()))
    return set().union(*(_references(one) for one in value)) if isinstance(value, list) else set()


def _schema(schema: Any) -> Any:
    return jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})


async def test_the_server_gives_the_document(api_client: Any) -> None:
    """The served document covers every operation, including its own."""
    served = (await api_client.get("/openapi")).body

    assert served == DOCUMENT
    assert served["info"]["version"] == __version__
    assert "/api/v1/openapi" in served["paths"]


def test_every_reference_exists() -> None:
    """Every schema reference exists."""
    names = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}

    assert _references(DOCUMENT) <= names


def test_names_and_paths_are_unique() -> None:
    """No two operations share a name, an item type, or a method and path."""
    for distinct in (
        [one.name for one in OPERATIONS],
        [one.item_type for one in ITEMS],
        [(one.method, re.sub(r"\{.*?\}", "{}", one.path)) for one in OPERATIONS],
    ):
        assert len(set(distinct)) == len(distinct)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_every_operation_is_described(operation: Any) -> None:
    """Each operation has a summary, its success, its errors and its path parameter."""
    described = DOCUMENT["paths"][operation.path][operation.method.lower()]

    assert described["operationId"] == operation.name
    assert described["summary"]
    assert described["description"].endswith(".")
    success = "303" if isinstance(operation, Redirecting) else "200"
    assert success in described["responses"]
    signs_in = operation.name in ("sessions.create", "sessions.start_openid")
    assert ("401" in described["responses"]) == (operation.access != "public" or signs_in)
    in_path = [one["name"] for one in described["parameters"] if one["in"] == "path"]
    assert in_path == ([operation.path_parameter] if operation.path_parameter else [])


@pytest.mark.parametrize(
    "operation",
    [one for one in OPERATIONS if isinstance(one, Write | RawOperation) and one.body is not None],
    ids=lambda one: one.name,
)
def test_every_example_fits_its_schema(operation: Any) -> None:
    """Every request example validates against its schema."""
    described = DOCUMENT["paths"][operation.path][operation.method.lower()]["requestBody"][
        "content"
    ]
    content = described["application/json"]

    assert content["examples"]
    for example in content["examples"].values():
        assert _schema(content["schema"]).is_valid(example["value"])


async def test_answers_match_the_document(api_client: Any) -> None:
    """The answers of a whole run validate against their documented schemas."""
    run = await api_client.run("active")
    span = await api_client.span(run, payload={"a": 1})
    await api_client.span(run, status="complete", result_payload={})
    calls: list[tuple[str, str, str, Any]] = [
        ("GET", "/ping", "/ping", None),
        ("POST", "/agent", "/agent", {"details": {"name": "A"}}),
        ("GET", "/agent?include_counts=true", "/agent", None),
        ("GET", "/agent/agent-1?include_counts=true", "/agent/{agent_id}", None),
        ("GET", "/agent/show?agent_id=agent-1", "/agent/show", None),
        ("GET", "/agent_instance", "/agent_instance", None),
        ("GET", f"/agent_spans?agent_instance_id={run['id']}", "/agent_spans", None),
        ("GET", f"/agent_spans/{span['id']}", "/agent_spans/{agent_span_id}", None),
        ("POST", f"/agent_instance/{run['id']}/terminate",
         "/agent_instance/{agent_instance_id}/terminate", {"reason": "enough"}),
        ("POST", f"/agent_spans/{span['id']}/finish", "/agent_spans/{agent_span_id}/finish", {}),
        ("GET", f"/agent_instance/{run['id']}", "/agent_instance/{agent_instance_id}", None),
        ("POST", "/pfid/generate", "/pfid/generate", {"count": 3}),
        ("POST", "/bulk", "/bulk",
         {"items": [{"_type": "ping", "idempotency_key": "key-0001"}]}),
    ]  # fmt: skip

    for method, path, template, body in calls:
        answer = await api_client.call(method, path, body)
        assert answer.status == 200, answer.text
        described = DOCUMENT["paths"][f"/api/v1{template}"][method.lower()]
        schema = described["responses"]["200"]["content"]["application/json"]["schema"]
        problems = [str(error) for error in _schema(schema).iter_errors(answer.body)]
        assert problems == [], path


async def test_errors_match_the_document(api_client: Any) -> None:
    """An error body validates against the one schema of errors."""
    schema = _schema({"$ref": "#/components/schemas/Error"})

    for path in ("/agent/nobody", "/agent?colour=red", "/agent_spans"):
        assert schema.is_valid((await api_client.get(path)).body)


def test_parameters_are_described() -> None:
    """Every query parameter has a description and a unique name."""
    for operation in OPERATIONS:
        if isinstance(operation, Read | Streamed):
            names = [parameter.name for parameter in operation.parameters]
            assert len(set(names)) == len(names)
            assert all(parameter.description for parameter in operation.parameters)
