"""Registration: what is found, created and refused."""

from typing import Any

import pytest

from prefactor_server.api import Limits

TYPE = {"name": "llm", "params_schema": {"type": "object"}}
OTHER = {"name": "tool", "params_schema": {"type": "object"}}


def _schema(*types: Any, name: str | None = None) -> dict[str, Any]:
    return {"external_identifier": name, "span_type_schemas": list(types)}


async def test_an_unknown_agent_is_created_under_its_identifier(api_client: Any) -> None:
    """A first registration makes the agent, known by that name and by its id from then on."""
    run = await api_client.register(agent_id="agent_123", agent_version={"name": "My Agent"})

    agent = (await api_client.get("/agent/agent_123")).details
    assert agent["id"] == run["agent_id"]
    assert (agent["name"], agent["external_identifier"]) == ("My Agent", "agent_123")
    assert (await api_client.register(agent_id=agent["id"]))["agent_id"] == agent["id"]


async def test_an_unknown_pfid_is_not_an_identifier(api_client: Any) -> None:
    """A PFID that no agent has creates no agent, and is not found."""
    body = {"agent_id": "013xrzp12g3nqk8ns6jadrqmpgrjkeny"}

    (await api_client.post("/agent_instance/register", body)).refused(404, "not_found")


async def test_an_unknown_environment_is_not_found(api_client: Any) -> None:
    """A registration that names an environment which does not exist is refused."""
    body = {"agent_id": "agent-1", "environment_id": "nowhere"}

    (await api_client.post("/agent_instance/register", body)).refused(404, "not_found")


async def test_an_account_token_has_to_name_the_agent(api_client: Any) -> None:
    """A registration with an account token is refused without an agent."""
    refused = await api_client.post("/agent_instance/register", {})

    errors = refused.refused(422, "validation_errors")["errors"]
    assert errors["agent_id"]["code"] == "required_value"


async def test_a_version_is_found_by_its_content(api_client: Any) -> None:
    """Metadata and schema decide the version, and the order of span types does not matter."""
    fields = {"agent_version": {"external_identifier": "v1"}}
    first = await api_client.register(agent_schema_version=_schema(TYPE, OTHER), **fields)
    same = await api_client.register(agent_schema_version=_schema(OTHER, TYPE), **fields)
    other_schema = await api_client.register(agent_schema_version=_schema(TYPE), **fields)
    other_version = await api_client.register(
        agent_schema_version=_schema(TYPE, OTHER), agent_version={"external_identifier": "v2"}
    )

    versions = ("agent_version_id", "agent_schema_version_id")
    assert [same[name] for name in versions] == [first[name] for name in versions]
    assert other_schema["agent_schema_version_id"] != first["agent_schema_version_id"]
    assert other_schema["agent_version_id"] != first["agent_version_id"]
    assert other_version["agent_schema_version_id"] == first["agent_schema_version_id"]
    assert other_version["agent_version_id"] != first["agent_version_id"]


async def test_an_identifier_may_recur_with_other_content(api_client: Any) -> None:
    """A schema's identifier is part of its content, and not a unique key."""
    named = await api_client.register(agent_schema_version=_schema(TYPE, name="s1"))
    changed = await api_client.register(agent_schema_version=_schema(OTHER, name="s1"))
    renamed = await api_client.register(agent_schema_version=_schema(TYPE, name="s2"))

    ids = {run["agent_schema_version_id"] for run in (named, changed, renamed)}
    assert len(ids) == 3


@pytest.mark.parametrize("nothing", [{}, None, {"external_identifier": None}])
async def test_a_missing_version_means_the_current_one(api_client: Any, nothing: Any) -> None:
    """A missing, empty or null version means the current one of the deployment."""
    first = await api_client.register(
        agent_version={"external_identifier": "v1"}, agent_schema_version=_schema(TYPE)
    )

    second = await api_client.register(agent_version=nothing, agent_schema_version=nothing)

    assert second["agent_version_id"] == first["agent_version_id"]
    assert second["agent_schema_version_id"] == first["agent_schema_version_id"]


async def test_a_registration_can_leave_the_current_version_alone(api_client: Any) -> None:
    """Without update_current_version, a run has its own version and the deployment another."""
    first = await api_client.register(agent_version={"external_identifier": "v1"})
    trial = await api_client.register(
        agent_version={"external_identifier": "v2"}, update_current_version=False
    )
    third = await api_client.register()

    assert trial["agent_version_id"] != first["agent_version_id"]
    assert third["agent_version_id"] == first["agent_version_id"]


async def test_the_older_maps_declare_the_same_types(api_client: Any) -> None:
    """Two maps of schemas make the version that the list of the same types makes."""
    listed = await api_client.register(
        agent_schema_version=_schema({**TYPE, "result_schema": {"type": "object"}}, OTHER)
    )
    mapped = await api_client.register(
        agent_schema_version={
            "span_schemas": {"llm": {"type": "object"}, "tool": {"type": "object"}},
            "span_result_schemas": {"llm": {"type": "object"}},
        }
    )

    assert mapped["agent_schema_version_id"] == listed["agent_schema_version_id"]


async def test_the_list_wins_over_the_maps(api_client: Any) -> None:
    """When both forms are given, the maps are ignored."""
    listed = await api_client.register(agent_schema_version=_schema(TYPE))
    both = await api_client.register(
        agent_schema_version={
            **_schema(TYPE),
            "span_schemas": {"other": {}},
            "span_result_schemas": {"nobody": {}},
        }
    )

    assert both["agent_schema_version_id"] == listed["agent_schema_version_id"]


async def test_result_schemas_alone_declare_nothing(api_client: Any) -> None:
    """A map of result schemas without types is accepted and declares nothing."""
    first = await api_client.register(agent_schema_version=_schema(TYPE))
    second = await api_client.register(agent_schema_version={"span_result_schemas": {"llm": {}}})

    assert second["agent_schema_version_id"] == first["agent_schema_version_id"]


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        (_schema(TYPE, TYPE), ("span_type_schemas", "1", "name")),
        ({"span_type_schemas": [{"name": "llm"}]}, ("span_type_schemas", "0", "params_schema")),
        ({"span_type_schemas": "llm"}, ("span_type_schemas",)),
        ({"span_schemas": {"a": 5}}, ("span_schemas",)),
        (
            {"span_schemas": {"a": {}}, "span_result_schemas": {"b": {}}},
            ("span_result_schemas", "b"),
        ),
        ("s1", ()),
    ],
)
async def test_an_invalid_declaration_is_refused(
    api_client: Any, schema: Any, path: tuple[str, ...]
) -> None:
    """An invalid declaration is refused, and the error names its place in the request."""
    body = {"agent_id": "agent-1", "agent_schema_version": schema}

    refused = await api_client.post("/agent_instance/register", body)

    error = refused.refused(422, "validation_errors")["errors"]["agent_schema_version"]
    for name in path:
        error = error[name]
    assert error["status"] == "error"


async def test_an_invalid_schema_or_template_is_accepted(api_client: Any) -> None:
    """An invalid schema and a template that does not parse only leave spans unchecked."""
    broken = {"name": "llm", "params_schema": {"type": "nonsense"}, "template": "{{ oops"}
    run = await api_client.register(agent_schema_version=_schema(broken))

    span = await api_client.span(run, schema_name="llm", payload={"a": 1})

    assert span["schema_registered"]
    assert span["payload_validation"] is span["summary"] is None


async def test_ids_and_external_identifiers_are_unique(api_client: Any) -> None:
    """A second run with the same id, or its agent's same external identifier, is a conflict."""
    await api_client.register("run-1", external_identifier="ext")

    for fields in ({"id": "run-1"}, {"external_identifier": "ext"}):
        body = {"agent_id": "agent-1", **fields}
        refused = await api_client.post("/agent_instance/register", body)
        refused.refused(409, "invalid_action")
    await api_client.register("run-2", agent_id="agent-2", external_identifier="ext")


@pytest.mark.parametrize("run_id", ["", "x" * 65, "a b", "a/b", "run\n", 5])
async def test_an_impossible_id_is_refused(api_client: Any, run_id: Any) -> None:
    """A chosen id that cannot appear in a path is refused."""
    body = {"agent_id": "agent-1", "id": run_id}

    refused = await api_client.post("/agent_instance/register", body)

    errors = refused.refused(422, "validation_errors")["errors"]
    assert errors["id"]["message"].startswith("must be 1 to 64")


async def test_the_metadata_names_the_agent(api_client: Any) -> None:
    """The name and description of a current version become the agent's."""
    await api_client.register(agent_version={"name": "First", "description": "One"})
    await api_client.register(agent_version={"name": "Trial"}, update_current_version=False)

    agent = (await api_client.get("/agent/agent-1")).details
    assert (agent["name"], agent["description"]) == ("First", "One")


class TestWithoutAutomaticAgents:
    """A server that does not create agents automatically."""

    @pytest.fixture
    def limits(self) -> Limits:
        """The same limits, except that unknown agents are refused."""
        return Limits(
            max_request_bytes=10_000,
            max_payload_bytes=1_000,
            token_cache_seconds=10,
            auto_create_agents=False,
        )

    async def test_an_unknown_agent_is_not_found(self, api_client: Any) -> None:
        """If agents are not created automatically, an unknown agent is a 404."""
        body = {"agent_id": "agent-1"}
        (await api_client.post("/agent_instance/register", body)).refused(404, "not_found")

        fields = {"name": "A", "external_identifier": "agent-1"}
        await api_client.post("/agent", {"details": fields})

        assert (await api_client.post("/agent_instance/register", body)).status == 200


async def test_an_answer_has_the_schema_version(api_client: Any) -> None:
    """The answer has the schema version, found or created, alone and in bulk."""
    declared = {
        "external_identifier": "s1",
        "span_type_schemas": [{"name": "step", "params_schema": {}}],
    }
    body = {"agent_id": "agent-1", "agent_schema_version": declared}
    item = {"_type": "agent_instances/register", "idempotency_key": "key-of-item", **body}

    first = await api_client.post("/agent_instance/register", body)
    again = (await api_client.post("/bulk", {"items": [item]})).body["outputs"]["key-of-item"]
    silent = await api_client.post("/agent_instance/register", {"agent_id": "agent-1"})

    bound = first.body["agent_schema_version"]
    assert again["agent_schema_version"] == bound
    assert bound["id"] == first.details["agent_schema_version_id"]
    shown = (await api_client.get(f"/agent_schema_version/{bound['id']}")).details
    (listed,) = (await api_client.get("/agent_schema_version", {"agent_id": "agent-1"})).summaries
    assert bound.items() <= listed.items()
    assert list(shown["span_type_schemas"]) == ["step"]
    assert "agent_schema_version" not in silent.body
