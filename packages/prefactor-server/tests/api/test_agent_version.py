"""Versions through the API."""

from typing import Any

PATH = "/agent_version"


async def _agent(api_client: Any, name: str = "agent-1") -> Any:
    details = {"name": "A", "external_identifier": name}
    return (await api_client.post("/agent", {"details": details})).details


async def _schema(api_client: Any, name: str, agent_id: str = "agent-1") -> Any:
    details = {"agent_id": agent_id, "external_identifier": name, "span_type_schemas": []}
    return (await api_client.post("/agent_schema_version", {"details": details})).details


async def _create(api_client: Any, **details: Any) -> Any:
    details = {"agent_id": "agent-1", "external_identifier": "v1", **details}
    return (await api_client.post(PATH, {"details": details})).details


async def test_a_version_is_created_shown_and_listed(api_client: Any) -> None:
    """A version reads back as created, bound to the schema version that it names."""
    agent = await _agent(api_client)
    schema = await _schema(api_client, "s1")
    await _schema(api_client, "s2")
    runtime = {"agent_sdk": ["own 1.0"], "os": "linux", "runtime": "python 3.11"}
    created = await _create(
        api_client, agent_schema_version_id=schema["id"], runtime_environment=runtime, id="mine"
    )

    assert (created["type"], created["id"], created["agent_id"]) == (
        "agent_version",
        "mine",
        agent["id"],
    )
    assert created["agent_schema_version_id"] == schema["id"]
    assert created["runtime_environment"] == runtime
    assert created["external_identifier_repeats"] == 1
    assert created["current_agent_deployment_refs"] == []
    assert (await api_client.get(f"{PATH}/mine")).details == created
    assert (await api_client.get(PATH, {"agent_id": "agent-1"})).summaries == [created]


async def test_a_version_takes_the_newest_schema_version(api_client: Any) -> None:
    """A version that names no schema version is bound to the agent's last one, or an empty one."""
    await _agent(api_client)
    bare = await _create(api_client)
    await _schema(api_client, "s1")
    newest = await _schema(api_client, "s2")
    created = await _create(api_client, external_identifier="v2")

    assert created["agent_schema_version_id"] == newest["id"]
    path = f"/agent_schema_version/{bare['agent_schema_version_id']}"
    assert (await api_client.get(path)).details["span_type_schemas"] == {}


async def test_a_version_takes_the_schema_version_of_its_own_request(api_client: Any) -> None:
    """In one bulk request, the schema version that was just created is the newest."""
    await _agent(api_client)
    details = {"agent_id": "agent-1", "external_identifier": "x"}
    items = [
        {
            "_type": "agent_schema_versions/create",
            "idempotency_key": "schema-00",
            "details": {**details, "id": "fresh", "span_schemas": {"llm": {}}},
        },
        {"_type": "agent_versions/create", "idempotency_key": "version-0", "details": details},
    ]

    outputs = (await api_client.post("/bulk", {"items": items})).body["outputs"]

    assert outputs["version-0"]["details"]["agent_schema_version_id"] == "fresh"


async def test_a_version_names_its_agent(api_client: Any) -> None:
    """A version's name and description become its agent's; missing ones leave the agent's."""
    await _agent(api_client)
    await _create(api_client, name="Support", description="Answers")
    named = (await api_client.get("/agent/agent-1")).details
    await _create(api_client, external_identifier="v2")

    assert (named["name"], named["description"]) == ("Support", "Answers")
    assert (await api_client.get("/agent/agent-1")).details == named


async def test_equal_versions_are_created_once(api_client: Any) -> None:
    """The same content gives the same version, whether created or registered."""
    await _agent(api_client)
    first = await _create(api_client)
    again = await _create(api_client)
    run = await api_client.register(agent_version={"external_identifier": "v1"})
    chosen = {"agent_id": "agent-1", "external_identifier": "v1", "id": "another"}

    assert again["id"] == first["id"] == run["agent_version_id"]
    refused = (await api_client.post(PATH, {"details": chosen})).refused(409, "invalid_action")
    assert first["id"] in refused["message"]


async def test_an_identifier_may_be_reused_with_other_content(api_client: Any) -> None:
    """Versions with the same identifier are numbered, and an id cannot be reused."""
    await _agent(api_client)
    await _create(api_client, id="mine")
    other = await _create(api_client, name="Other words")
    taken = {"agent_id": "agent-1", "external_identifier": "v1", "name": "More", "id": "mine"}

    (await api_client.post(PATH, {"details": taken})).refused(409, "invalid_action")
    query = {"agent_id": "agent-1", "external_identifier": "v1", "sorting": "inserted_at"}
    rows = (await api_client.get(PATH, query)).summaries
    assert [row["id"] for row in rows] == ["mine", other["id"]]
    assert [row["external_identifier_repeats"] for row in rows] == [2, 2]


async def test_a_version_says_where_it_is_current(api_client: Any) -> None:
    """The deployments that a version is current in are named by their ids."""
    run = await api_client.register(agent_version={"external_identifier": "v1"})
    version = (await api_client.get(f"{PATH}/{run['agent_version_id']}")).details
    await api_client.register(agent_version={"external_identifier": "v2"})
    older = (await api_client.get(f"{PATH}/{run['agent_version_id']}")).details

    assert version["current_agent_deployment_refs"] == [run["agent_deployment_id"]]
    assert older["current_agent_deployment_refs"] == []


async def test_references_of_a_version_must_exist(api_client: Any) -> None:
    """An unknown agent is not found; a schema version of another agent is the wrong value."""
    details = {"agent_id": "agent-1", "external_identifier": "v1"}
    (await api_client.post(PATH, {"details": details})).refused(404, "not_found")
    await _agent(api_client)
    await _agent(api_client, "agent-2")
    foreign = await _schema(api_client, "s", "agent-2")

    for schema_id in (foreign["id"], "nobody's"):
        body = {"details": {**details, "agent_schema_version_id": schema_id}}
        errors = (await api_client.post(PATH, body)).refused(422, "validation_errors")["errors"]
        assert errors["details"]["agent_schema_version_id"]["code"] == "invalid_value"


async def test_a_repeated_creation_answers_with_the_version(api_client: Any) -> None:
    """Repeating a creation with its key does nothing more and returns the version."""
    await _agent(api_client)
    asked = {
        "details": {"agent_id": "agent-1", "external_identifier": "v1"},
        "idempotency_key": "version-key",
    }
    first, again = await api_client.post(PATH, asked), await api_client.post(PATH, asked)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.details == first.details


async def test_a_deployment_token_reads_its_agents_versions(api_client: Any) -> None:
    """A deployment token reads its own agent's versions, and cannot create any."""
    run = await api_client.register(agent_version={"external_identifier": "v1"})
    other = await api_client.register("r", agent_id="agent-2", agent_version={"name": "B"})
    environment = (await api_client.post("/environment", {"details": {"name": "S"}})).details
    await api_client.register(
        environment_id=environment["id"], agent_version={"external_identifier": "v1"}
    )
    token = await api_client.deployment_token(run)

    (row,) = (await api_client.get(PATH, token=token)).summaries
    assert row["id"] == run["agent_version_id"]
    assert row["current_agent_deployment_refs"] == [run["agent_deployment_id"]]
    hidden = await api_client.get(f"{PATH}/{other['agent_version_id']}", token=token)
    hidden.refused(404, "not_found")
    assert (await api_client.get(PATH, {"agent_id": "agent-2"}, token=token)).summaries == []
    (await api_client.post(PATH, {"details": {}}, token=token)).refused(403, "not_permitted")
