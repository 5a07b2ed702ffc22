"""The published client's examples run against this server unchanged, literal ids included.

A reader changes only `api_url` and `api_token`. Ids such as `instance_123` and keys such as
`create-span-001` are part of the examples, so tests that need them unused start a separate server.
"""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from live_server import LiveServer
from prefactor_http import (
    AgentInstance,
    AgentSpan,
    BulkItem,
    BulkRequest,
    HttpClientConfig,
    PrefactorApiError,
    PrefactorAuthError,
    PrefactorHttpClient,
    PrefactorNotFoundError,
    PrefactorRetryExhaustedError,
    PrefactorValidationError,
)

LLM_CALL: dict[str, Any] = {
    "name": "agent:llm",
    "title": "LLM Call",
    "description": "A call to a language model",
    "params_schema": {
        "type": "object",
        "properties": {"model": {"type": "string"}, "prompt": {"type": "string"}},
        "required": ["model", "prompt"],
    },
    "result_schema": {"type": "object", "properties": {"response": {"type": "string"}}},
    "template": "{{model}}: {{prompt}} → {{response}}",
}


@pytest.fixture
async def client(live_server: LiveServer) -> AsyncIterator[PrefactorHttpClient]:
    """The client of an example that uses no id twice."""
    async with PrefactorHttpClient(HttpClientConfig(live_server.url, live_server.token)) as client:
        yield client


@pytest.fixture
async def new_client(
    serve: Callable[..., LiveServer], tmp_path: Path
) -> AsyncIterator[PrefactorHttpClient]:
    """The client of an example, whose ids must be unused."""
    server = serve(tmp_path / "server")
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        yield client


async def register(client: PrefactorHttpClient, id: str | None = None) -> AgentInstance:
    """Register a run with every parameter spelled out."""
    return await client.agent_instances.register(
        agent_id="agent_123",
        agent_version={
            "name": "My Agent",
            "external_identifier": "v1.0.0",
            "description": "Optional description",
        },
        agent_schema_version={
            "external_identifier": "schema-v1",
            "span_type_schemas": [LLM_CALL],
        },
        id=id,
        idempotency_key=None,
        update_current_version=True,
    )


async def create_span(client: PrefactorHttpClient) -> AgentSpan:
    """Create the span of the example, with every parameter spelled out."""
    return await client.agent_spans.create(
        agent_instance_id="instance_123",
        schema_name="agent:llm",
        status="active",
        payload={"model": "gpt-4", "prompt": "Hello"},
        result_payload=None,
        id=None,
        parent_span_id=None,
        started_at=None,
        finished_at=None,
        idempotency_key=None,
    )


async def test_the_quick_start_prints_an_id(
    live_server: LiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The quick start registers a run of an unknown agent, and prints the run's id."""
    config = HttpClientConfig(api_url=live_server.url, api_token=live_server.token)

    async with PrefactorHttpClient(config) as client:
        instance = await client.agent_instances.register(
            agent_id="agent_123",
            agent_version={"name": "My Agent", "external_identifier": "v1.0.0"},
            agent_schema_version={
                "external_identifier": "v1.0.0",
                "span_type_schemas": [LLM_CALL],
            },
        )
        print(f"Registered instance: {instance.id}")  # noqa: T201 - the example does

    assert re.fullmatch(r"Registered instance: [0-9a-z]{32}\n", capsys.readouterr().out)


async def test_the_agent_of_the_quick_start_can_be_found(client: PrefactorHttpClient) -> None:
    """The literal agent id becomes the external identifier of an agent that is made on the way."""
    instance = await register(client)

    agent = await client.agents.get(instance.agent_id)

    assert (agent.external_identifier, agent.name) == ("agent_123", "My Agent")


async def test_register_with_every_parameter(client: PrefactorHttpClient) -> None:
    """An explicit None for id and key means the same as leaving them out."""
    first, second = await register(client), await register(client)

    assert first.id != second.id
    assert first.agent_version_id == second.agent_version_id
    assert first.status == "pending"


async def test_register_with_the_older_maps(client: PrefactorHttpClient) -> None:
    """Flat maps of schemas are accepted instead of the list of span types."""
    instance = await client.agent_instances.register(
        agent_id="agent_123",
        agent_version={"name": "My Agent", "external_identifier": "v1.0.0"},
        agent_schema_version={
            "external_identifier": "schema-v1",
            "span_schemas": {"agent:llm": LLM_CALL["params_schema"]},
            "span_result_schemas": {"agent:llm": LLM_CALL["result_schema"]},
        },
    )

    assert instance.status == "pending"


async def test_start_and_finish_with_none_everywhere(client: PrefactorHttpClient) -> None:
    """Start and finish accept None for every optional argument."""
    instance = await register(client)

    started = await client.agent_instances.start(
        agent_instance_id=instance.id, timestamp=None, idempotency_key=None
    )
    finished = await client.agent_instances.finish(
        agent_instance_id=instance.id, status=None, timestamp=None, idempotency_key=None
    )

    assert (started.status, finished.status) == ("active", "complete")
    assert started.started_at is not None
    assert finished.finished_at is not None


async def test_a_span_of_an_unknown_instance(new_client: PrefactorHttpClient) -> None:
    """A span of an instance that was never registered is refused as not found."""
    with pytest.raises(PrefactorNotFoundError):
        await create_span(new_client)


async def test_a_span_from_creation_to_end(new_client: PrefactorHttpClient) -> None:
    """For a registered instance with the literal id, the span examples work."""
    instance = await register(new_client, id="instance_123")
    span = await create_span(new_client)
    finished = await new_client.agent_spans.finish(
        agent_span_id=span.id,
        status=None,
        result_payload=None,
        timestamp=None,
        idempotency_key=None,
    )

    assert instance.id == "instance_123"
    assert (span.agent_instance_id, span.status) == ("instance_123", "active")
    assert (span.schema_title, span.payload["model"]) == ("LLM Call", "gpt-4")
    assert finished.status == "complete"
    assert finished.summary == "gpt-4: Hello →"


def bulk_request() -> BulkRequest:
    """The request of the bulk example."""
    return BulkRequest(
        items=[
            BulkItem(
                _type="agent_instances/register",
                idempotency_key="register-instance-001",
                agent_id="agent_123",
                agent_version={"name": "My Agent", "external_identifier": "v1.0.0"},
                agent_schema_version={
                    "external_identifier": "v1.0.0",
                    "span_type_schemas": [
                        {field: LLM_CALL[field] for field in LLM_CALL if field != "template"}
                    ],
                },
            ),
            BulkItem(
                _type="agent_spans/create",
                idempotency_key="create-span-001",
                agent_instance_id="instance_123",
                schema_name="agent:llm",
                status="active",
            ),
        ]
    )


@pytest.mark.parametrize(
    ("registered", "status"), [(True, "success"), (False, "error")], ids=["known", "unknown"]
)
async def test_the_bulk_example(
    new_client: PrefactorHttpClient,
    capsys: pytest.CaptureFixture[str],
    registered: bool,
    status: str,
) -> None:
    """Both outputs can be iterated and read by key, whether or not the instance exists."""
    if registered:
        await register(new_client, id="instance_123")

    response = await new_client.bulk.execute(bulk_request())
    for key, output in response.outputs.items():
        print(f"{key}: {output.status}")  # noqa: T201 - the example does

    assert response.outputs["create-span-001"].status == status
    assert capsys.readouterr().out == (
        f"register-instance-001: success\ncreate-span-001: {status}\n"
    )


async def explained(config: HttpClientConfig, use: Callable[..., Any]) -> tuple[Any, ...]:
    """Handle errors as the example does, clause by clause in its order."""
    async with PrefactorHttpClient(config) as client:
        try:
            await use(client)
        except PrefactorValidationError as e:
            return "validation", e.errors
        except PrefactorAuthError as e:
            return "authentication", str(e)
        except PrefactorNotFoundError as e:
            return "not found", str(e)
        except PrefactorRetryExhaustedError as e:
            return "retries exhausted", e.last_error
        except PrefactorApiError as e:
            return "api", e.status_code, e.code
    return ("nothing",)


async def test_a_validation_error_names_the_field(live_server: LiveServer) -> None:
    """The first clause catches a validation error, with its field."""

    async def use(client: PrefactorHttpClient) -> None:
        await register(client, id="instance 123")

    config = HttpClientConfig(live_server.url, live_server.token)

    kind, errors = await explained(config, use)

    assert kind == "validation"
    assert "letters, digits" in errors["id"]["message"]


async def test_a_wrong_token_is_an_authentication_error(live_server: LiveServer) -> None:
    """The second clause catches an unknown token."""
    config = HttpClientConfig(live_server.url, "your-api-token-that-nobody-made")

    kind, message = await explained(config, register)

    assert (kind, bool(message)) == ("authentication", True)


async def test_an_unknown_instance_is_not_found(live_server: LiveServer) -> None:
    """The third clause catches an instance that does not exist."""

    async def use(client: PrefactorHttpClient) -> None:
        await client.agent_instances.start(agent_instance_id="no-such-instance")

    kind, message = await explained(HttpClientConfig(live_server.url, live_server.token), use)

    assert kind == "not found"
    assert "no-such-instance" in message


async def test_an_unreachable_server_exhausts_the_retries(
    serve: Callable[..., LiveServer], tmp_path: Path
) -> None:
    """The fourth clause catches an unreachable server, and shows the last error."""
    server = serve(tmp_path / "server")
    server.stop()
    config = HttpClientConfig(server.url, server.token, max_retries=1, initial_retry_delay=0.001)

    kind, last_error = await explained(config, register)

    assert kind == "retries exhausted"
    assert isinstance(last_error, Exception)


async def test_a_second_finish_is_an_api_error(live_server: LiveServer) -> None:
    """The last clause catches any other refusal, with its status and code."""

    async def use(client: PrefactorHttpClient) -> None:
        instance = await register(client)
        await client.agent_instances.start(instance.id)
        await client.agent_instances.finish(instance.id)
        await client.agent_instances.finish(instance.id)

    config = HttpClientConfig(live_server.url, live_server.token)

    assert await explained(config, use) == ("api", 409, "invalid_action")


async def test_a_configuration_with_every_field(live_server: LiveServer) -> None:
    """A client that was configured field by field works."""
    config = HttpClientConfig(
        api_url=live_server.url,
        api_token=live_server.token,
        request_timeout=30.0,
        connect_timeout=10.0,
        max_retries=3,
        initial_retry_delay=1.0,
        max_retry_delay=60.0,
        retry_multiplier=2.0,
    )

    async with PrefactorHttpClient(config) as client:
        instance = await register(client)

    assert instance.status == "pending"
