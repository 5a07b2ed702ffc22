"""Schema versions through the API."""

from typing import Any

import pytest

PATH = "/agent_schema_version"
OBJECT = {"type": "object"}


async def _agent(api_client: Any) -> Any:
    details = {"name": "A", "external_identifier": "agent-1"}
    return (await api_client.post("/agent", {"details": details})).details


async def _create(api_client: Any, **details: Any) -> Any:
    details = {"agent_id": "agent-1", "external_identifier": "s1", **details}
    return (await api_client.post(PATH, {"details": details})).details


async def test_declared_types_are_shown_with_their_verdict(api_client: Any) -> None:
    """Span types come back as a map from their names, each schema with its verdict."""
    await _agent(api_client)
    types = [
        {
            "name": "llm",
            "title": "Model call",
            "description": "D",
            "params_schema": OBJECT,
            "result_schema": {"type": 3},
            "template": "{{ model }}",
            "data_risk": {"pii": True},
        },
        {"name": "bare", "params_schema": OBJECT},
    ]
    created = await _create(api_client, id="mine", span_type_schemas=types)
    good = {"status": "success", "message": None}
    llm, bare = created["span_type_schemas"]["llm"], created["span_type_schemas"]["bare"]

    assert (created["type"], created["id"]) == ("agent_schema_version", "mine")
    assert (llm["title"], llm["description"], llm["template"]) == ("Model call", "D", "{{ model }}")
    assert (llm["params_schema"], llm["params_schema_validation"]) == (OBJECT, good)
    assert llm["result_schema"] == {"type": 3}
    assert llm["result_schema_validation"]["status"] == "error"
    assert "not valid" in llm["result_schema_validation"]["message"]
    assert llm["data_risk"] == {"pii": True}
    assert bare["title"] == bare["name"] == "bare"
    assert bare["template"] is bare["data_risk"] is None
    assert bare["result_schema"] == {"type": "object", "additionalProperties": False}
    assert bare["result_schema_validation"] == good
    assert (await api_client.get(f"{PATH}/mine")).details == created


async def test_a_list_counts_the_span_types(api_client: Any) -> None:
    """Rows of a list have the number of span types in place of the types."""
    await _agent(api_client)
    await _create(api_client, span_schemas={"a": OBJECT, "b": OBJECT})

    (row,) = (await api_client.get(PATH, {"agent_id": "agent-1"})).summaries

    assert row["span_schemas_count"] == 2
    assert "span_type_schemas" not in row
    assert row["external_identifier_repeats"] == 1


async def test_the_older_form_is_accepted_without_the_list(api_client: Any) -> None:
    """A map of schemas declares types; if there is also a list of types, the map is ignored."""
    await _agent(api_client)
    maps = {"span_schemas": {"old": OBJECT}, "span_result_schemas": {"old": OBJECT}}
    older = await _create(api_client, **maps)
    newer = await _create(
        api_client,
        external_identifier="s2",
        span_type_schemas=[{"name": "n", "params_schema": {}}],
        span_result_schemas={"orphan": OBJECT},
    )

    assert older["span_type_schemas"]["old"]["result_schema"] == OBJECT
    assert list(newer["span_type_schemas"]) == ["n"]


@pytest.mark.parametrize(
    ("declared", "path"),
    [
        (
            {"span_schemas": {}, "span_result_schemas": {"orphan": OBJECT}},
            ["span_result_schemas", "orphan"],
        ),
        (
            {"span_type_schemas": [{"name": "a", "params_schema": {}}] * 2},
            ["span_type_schemas", "1", "name"],
        ),
    ],
)
@pytest.mark.parametrize("registering", [False, True])
async def test_a_contradiction_is_reported_with_its_place(
    api_client: Any, declared: Any, path: list[str], registering: bool
) -> None:
    """A result without its type and a duplicate name are refused, wherever they are sent."""
    await _agent(api_client)
    if registering:
        body = {"agent_id": "agent-1", "agent_schema_version": declared}
        refused = await api_client.post("/agent_instance/register", body)
        path = ["agent_schema_version", *path]
    else:
        details = {"agent_id": "agent-1", "external_identifier": "s", **declared}
        refused = await api_client.post(PATH, {"details": details})
        path = ["details", *path]

    error = refused.refused(422, "validation_errors")["errors"]
    for step in path:
        error = error[step]
    assert error["code"] == "invalid_value"


async def test_quality_schemas_are_shown(api_client: Any) -> None:
    """Declared kinds of quality come back as a map from their names, with the verdict."""
    await _agent(api_client)
    created = await _create(
        api_client,
        quality_schemas=[{"name": "helpful", "schema": OBJECT, "template": "{{ score }}"}],
    )

    helpful = created["quality_schemas"]["helpful"]
    assert (helpful["title"], helpful["schema"]) == ("helpful", OBJECT)
    assert helpful["schema_validation"]["status"] == "success"


async def test_the_same_content_is_one_schema_version(api_client: Any) -> None:
    """Declarations with the same content and name share one version, registrations included."""
    await _agent(api_client)
    first = await _create(api_client, span_schemas={"a": OBJECT})
    again = await _create(api_client, span_schemas={"a": OBJECT})
    declared = {"external_identifier": "s1", "span_schemas": {"a": OBJECT}}
    run = await api_client.register(agent_schema_version=declared)
    chosen = {"agent_id": "agent-1", **declared, "id": "another"}

    assert first["id"] == again["id"] == run["agent_schema_version_id"]
    (await api_client.post(PATH, {"details": chosen})).refused(409, "invalid_action")


async def test_an_identifier_may_be_reused_with_other_schemas(api_client: Any) -> None:
    """Versions with the same identifier are numbered, and an id cannot be reused."""
    await _agent(api_client)
    await _create(api_client, id="mine", span_schemas={"a": OBJECT})
    other = await _create(api_client, span_schemas={"b": OBJECT})
    taken = {"agent_id": "agent-1", "external_identifier": "s9", "id": "mine"}

    assert other["external_identifier_repeats"] == 2
    (await api_client.post(PATH, {"details": taken})).refused(409, "invalid_action")


async def test_a_schema_version_says_where_it_is_current(api_client: Any) -> None:
    """A schema version is current where a version that is bound to it is."""
    run = await api_client.register(agent_schema_version={"external_identifier": "s1"})

    shown = (await api_client.get(f"{PATH}/{run['agent_schema_version_id']}")).details

    assert shown["current_agent_deployment_refs"] == [run["agent_deployment_id"]]


@pytest.mark.parametrize("missing", ["agent_id", "external_identifier"])
async def test_a_schema_version_needs_its_agent_and_its_name(api_client: Any, missing: str) -> None:
    """Both are required, and an agent that does not exist is not found."""
    details = {"agent_id": "agent-1", "external_identifier": "s"}
    (await api_client.post(PATH, {"details": details})).refused(404, "not_found")
    del details[missing]

    errors = (await api_client.post(PATH, {"details": details})).refused(422, "validation_errors")

    assert errors["errors"]["details"][missing]["code"] == "required_value"


async def test_a_deployment_token_reads_its_agents_schema_versions(api_client: Any) -> None:
    """A deployment token reads its own agent's schema versions, and creates them by registering."""
    run = await api_client.register()
    other = await api_client.register(agent_id="agent-2")
    token = await api_client.deployment_token(run)

    rows = (await api_client.get(PATH, token=token)).summaries
    assert [row["id"] for row in rows] == [run["agent_schema_version_id"]]
    hidden = await api_client.get(f"{PATH}/{other['agent_schema_version_id']}", token=token)
    hidden.refused(404, "not_found")
    (await api_client.post(PATH, {"details": {}}, token=token)).refused(403, "not_permitted")
