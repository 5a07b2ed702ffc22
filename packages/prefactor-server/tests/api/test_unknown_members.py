"""Unknown fields of a request: refused by the control plane only."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from prefactor_server.api.kernel.operation import Write
from prefactor_server.api.kernel.unknown_members import merged
from prefactor_server.api.operations import OPERATIONS
from prefactor_server.domain.errors import REQUIRED, FieldError

WRITES = [one for one in OPERATIONS if isinstance(one, Write)]
CONTROL = [one for one in WRITES if one.is_control_plane]
ODD = {"unheard_of": {"a": [1]}}


def _request(operation: Write) -> tuple[str, dict[str, Any]]:
    """Return the operation's path with an unknown id, and a body that it documents."""
    path = operation.path.removeprefix("/api/v1")
    if operation.path_parameter:
        path = path.replace(f"{{{operation.path_parameter}}}", "nobody")
    return path, copy.deepcopy(dict(operation.examples[0].request))


def _errors(answer: Any, *nested: str) -> Mapping[str, Any]:
    found = answer.refused(422, "validation_errors")["errors"]
    for name in nested:
        found = found[name]
    return found


def test_the_control_plane_needs_an_account_token() -> None:
    """Only what deployments write about runs, spans, quality and alerts is telemetry."""
    lenient = {one.name for one in WRITES} - {one.name for one in CONTROL}

    assert lenient == {
        "alerts.clear",
        "alerts.raise",
        "agent_instances.set_metadata",
        "agent_instances.register",
        "agent_instances.start",
        "agent_instances.finish",
        "agent_instances.record_quality",
        "agent_instances.update",
        "agent_instances.replace",
        "agent_spans.create",
        "agent_spans.finish",
        "agent_spans.create_test_spans",
    }


async def test_an_unknown_field_is_named(api_client: Any) -> None:
    """At any depth, the answer is 422 and names the unknown field and the known ones."""
    for operation in CONTROL:
        path, body = _request(operation)

        beside = await api_client.call(operation.method, path, {**body, **ODD})

        assert list(_errors(beside)) == ["unheard_of"], operation.name
        assert "known here" in _errors(beside)["unheard_of"]["message"], operation.name
        if operation.wrapped:
            within = {**body, "details": {**body["details"], **ODD}}
            inside = await api_client.call(operation.method, path, within)
            assert list(_errors(inside, "details")) == ["unheard_of"], operation.name


async def test_a_refused_request_leaves_its_key_free_for_reuse(api_client: Any) -> None:
    """A refused request has no effect, and can be sent again without the field."""
    headers = {"Idempotency-Key": "k"}
    wrong = await api_client.post(
        "/agent", {"details": {"name": "A", "nmae": "B"}}, headers=headers
    )
    empty = (await api_client.get("/agent")).summaries
    right = await api_client.post("/agent", {"details": {"name": "A"}}, headers=headers)

    assert list(_errors(wrong, "details")) == ["nmae"]
    assert empty == []
    assert right.details["name"] == "A"


async def test_missing_wrong_and_unknown_fields_are_reported_together(api_client: Any) -> None:
    """One answer names every error of a request."""
    details = {"token_scop": "account", "expires_at": "soon"}
    answer = await api_client.post("/api_token", {"details": details})

    found = _errors(answer, "details")
    assert set(found) == {"token_scope", "expires_at", "token_scop"}


@pytest.mark.parametrize(
    ("path", "details", "place"),
    [
        ("/risk_profile", {"name": "N", "ruleset": {"weights": {}}}, ["ruleset", "weights"]),
        (
            "/risk_profile",
            {"name": "N", "category_weights": {"minors_data": {"weight": 1, "on": True}}},
            ["category_weights", "minors_data", "on"],
        ),
        (
            "/agent_schema_version",
            {"span_type_schemas": [{"name": "a", "params_schema": {}, "titel": "A"}]},
            ["span_type_schemas", "0", "titel"],
        ),
        (
            "/agent_schema_version",
            {"quality_schemas": [{"name": "a", "schema": {}, "titel": "A"}]},
            ["quality_schemas", "0", "titel"],
        ),
    ],
)
async def test_nested_fields_are_checked(
    api_client: Any, path: str, details: Any, place: list[str]
) -> None:
    """A field inside another field is known, or named by its path."""
    await api_client.post("/agent", {"details": {"name": "A", "id": "agent-1"}})
    if path == "/agent_schema_version":
        details = {"agent_id": "agent-1", "external_identifier": "s", **details}

    answer = await api_client.post(path, {"details": details})

    assert list(_errors(answer, "details", *place[:-1])) == [place[-1]]


async def test_answers_can_be_sent_back(api_client: Any) -> None:
    """An object as it was read is a valid update of itself, read-only fields included."""
    run = await api_client.run()
    account = (await api_client.get("/account")).summaries[0]
    for noun, path_id in (
        ("account", account["id"]),
        ("environment", run["environment_id"]),
        ("agent", run["agent_id"]),
        ("agent_deployment", run["agent_deployment_id"]),
    ):
        path = f"/{noun}/{path_id}"
        shown = (await api_client.get(path)).details
        again = (await api_client.call("PUT", path, {"details": shown})).details
        assert again["id"] == shown["id"]
    path = f"/agent_schema_version/{run['agent_schema_version_id']}"
    version = (await api_client.get(path)).details
    copied = {**version, "external_identifier": "copy", "id": "copy-1"}
    copied["span_type_schemas"] = list(version["span_type_schemas"].values())
    copied["quality_schemas"] = list(version["quality_schemas"].values())
    copied["alert_schemas"] = list(version["alert_schemas"].values())
    made = await api_client.post("/agent_schema_version", {"details": copied})
    assert made.details["external_identifier"] == "copy"


async def test_members_of_older_clients_are_accepted(api_client: Any) -> None:
    """An agent's environment, which older clients send, is accepted and ignored."""
    item = {"_type": "agents/create", "idempotency_key": "key-0001", "environment_id": "e"}
    bulk = {"items": [{**item, "details": {"name": "A"}}]}

    by_itself = await api_client.post("/agent", {"details": {"name": "A", "environment_id": "e"}})
    in_bulk = (await api_client.post("/bulk", bulk)).body["outputs"]["key-0001"]

    assert by_itself.status == 200
    assert in_bulk["status"] == "success"


async def test_another_account_is_refused(api_client: Any) -> None:
    """A request that names another account than the token's is refused, not carried out in it."""
    details = {"name": "A", "account_id": "somebody-else"}

    (await api_client.post("/agent", {"details": details})).refused(403, "not_permitted")


@pytest.mark.parametrize("flat", [True, False])
async def test_bulk_items_are_just_as_strict(api_client: Any, flat: bool) -> None:
    """A bulk request stops at an item with an unknown field, at either level."""
    item = {"_type": "agents/create", "idempotency_key": "key-0001"}
    fields = {"name": "A", **ODD}
    among = {**item, **fields} if flat else {**item, "details": fields}
    beside = {**item, "details": {"name": "A"}, "description": "lost"}

    found = (await api_client.post("/bulk", {"items": [among]})).body["outputs"]["key-0001"]
    lost = (await api_client.post("/bulk", {"items": [beside]})).body["outputs"]["key-0001"]

    errors = found["errors"] if flat else found["errors"]["details"]
    assert (found["code"], list(errors)) == ("validation_errors", ["unheard_of"])
    assert list(lost["errors"]) == ["description"]


async def test_telemetry_ignores_unknown_fields(api_client: Any) -> None:
    """Newer agents may send fields that this server does not know."""
    types = [{"name": "step", "params_schema": {}, **ODD}]
    run = await api_client.register(agent_schema_version={"span_type_schemas": types, **ODD}, **ODD)
    path = f"/agent_instance/{run['id']}"
    await api_client.post(f"{path}/start", ODD)
    span = await api_client.span(run, **ODD)
    body = {"items": [{"_type": "agent_spans/finish", "idempotency_key": "key-0001", **ODD}]}
    body["items"][0]["agent_span_id"] = span["id"]
    bulk = await api_client.post("/bulk", {**body, **ODD})
    quality = await api_client.post(f"{path}/record_quality", {"name": "q", "payload": {}, **ODD})
    ended = await api_client.post(f"{path}/finish", ODD)

    assert bulk.body["outputs"]["key-0001"]["status"] == "success"
    assert (quality.status, ended.details["status"]) == (200, "complete")


async def test_accepting_an_invitation_is_read_strictly(api_client: Any) -> None:
    """An acceptance with an unknown field is refused before the token is read."""
    answer = await api_client.post("/admin_user_invite/accept", {"token": "t", **ODD})

    assert list(_errors(answer)) == ["unheard_of"]


def test_errors_are_merged_by_field() -> None:
    """Errors about different fields are all kept; for one field, the first wins."""
    unknown = FieldError("invalid_value", "unknown")
    one = {"a": REQUIRED, "b": {"c": REQUIRED}}
    other = {"a": unknown, "b": {"d": unknown}, "e": unknown}

    both = merged(one, other)

    assert both == {"a": REQUIRED, "b": {"c": REQUIRED, "d": unknown}, "e": unknown}
