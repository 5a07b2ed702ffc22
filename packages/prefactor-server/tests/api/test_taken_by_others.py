"""Two deployments of an account: an error for one reveals nothing about the other."""

from typing import Any

import pytest

NOT_FOUND = (404, "not_found")
TAKEN = (409, "invalid_action")


@pytest.fixture
async def theirs(api_client: Any) -> Any:
    """A run with a span, of an agent in the default environment, whose token is never used."""
    run = await api_client.register("their-run", external_identifier="their-name")
    await api_client.post("/agent_instance/their-run/start")
    await api_client.span("their-run", id="their-span")
    return run


@pytest.fixture
async def mine(api_client: Any, theirs: Any) -> str:
    """A token of the same agent in another environment, with its own run."""
    await api_client.post("/environment", {"details": {"name": "staging", "id": "staging"}})
    run = await api_client.run(environment_id="staging", id="my-run")
    return await api_client.deployment_token(run)


def _item(kind: str, **fields: Any) -> dict[str, Any]:
    return {"_type": kind, "idempotency_key": f"{kind}-0001", **fields}


async def _alone_and_in_bulk(
    api_client: Any, token: str, path: str, body: Any, kind: str
) -> list[Any]:
    """Return the refusals of one request, alone and as an item: status, code, message."""
    alone = await api_client.post(path, body, token=token)
    fields = body.get("details", body)
    answer = await api_client.post("/bulk", {"items": [_item(kind, **fields)]}, token=token)
    (output,) = answer.body["outputs"].values()
    return [
        (alone.status, alone.body["code"], alone.body["message"]),
        (alone.status, output["code"], output["message"]),
    ]


@pytest.mark.parametrize(
    ("field", "value"), [("id", "their-run"), ("external_identifier", "their-name")]
)
async def test_a_conflict_with_another_deployments_run_is_not_found(
    api_client: Any, mine: str, field: str, value: str
) -> None:
    """Registering with another deployment's id or name gets the same error as reading it."""
    read = await api_client.get("/agent_instance/their-run", token=mine)
    told = await _alone_and_in_bulk(
        api_client, mine, "/agent_instance/register", {field: value}, "agent_instances/register"
    )

    assert read.refused(*NOT_FOUND)["message"] == "Agent instance 'their-run' not found"
    assert set(told) == {(*NOT_FOUND, f"Agent instance {value!r} not found")}
    own = await api_client.post("/agent_instance/register", {"id": "my-run"}, token=mine)
    own.refused(*TAKEN)


async def test_a_conflict_with_another_deployments_span_is_not_found(
    api_client: Any, mine: str
) -> None:
    """Creating a span with another deployment's id gets the same error as reading it."""
    details = {"id": "their-span", "agent_instance_id": "my-run", "schema_name": "step"}
    read = await api_client.get("/agent_spans/their-span", token=mine)
    told = await _alone_and_in_bulk(
        api_client, mine, "/agent_spans", {"details": details}, "agent_spans/create"
    )

    assert set(told) == {(*NOT_FOUND, read.refused(*NOT_FOUND)["message"])}
    counts = (await api_client.get("/agent_instance/my-run")).details["span_counts"]
    assert counts["total"] == 0


async def test_an_account_token_gets_a_conflict(api_client: Any, theirs: Any) -> None:
    """An account token, which sees everything, gets the error that the id is taken."""
    for body in ({"id": "their-run"}, {"external_identifier": "their-name"}):
        answer = await api_client.post("/agent_instance/register", {"agent_id": "agent-1", **body})
        assert "already exists" in answer.refused(*TAKEN)["message"]


async def test_each_deployment_has_its_own_keys(api_client: Any, mine: str, theirs: Any) -> None:
    """A key that another deployment or the account used is free, and repeats replay its own."""
    their_token = await api_client.deployment_token(theirs)
    tokens = (their_token, mine, None)
    body = {"agent_id": theirs["agent_id"], "idempotency_key": "the-same-key"}

    async def register(token: str | None) -> Any:
        return await api_client.post("/agent_instance/register", body, token=token)

    first = [await register(token) for token in tokens]
    again = [await register(token) for token in tokens]

    assert [one.replayed for one in (*first, *again)] == [False] * 3 + [True] * 3
    ids = [one.details["id"] for one in first]
    assert len(set(ids)) == 3
    assert [one.details["id"] for one in again] == ids
    other = await api_client.post(
        "/agent_instance/register", {**body, "purpose": "eval"}, token=their_token
    )
    message = other.refused(409, "idempotency_key_already_used")["message"]
    assert "'the-same-key'" in message
    assert theirs["agent_deployment_id"] not in message


async def test_keys_of_bulk_items_are_the_deployments_own(
    api_client: Any, mine: str, theirs: Any
) -> None:
    """The keys of bulk items do not clash between deployments either."""
    their_token = await api_client.deployment_token(theirs)
    for token, run_id in ((their_token, "their-run"), (mine, "my-run")):
        item = _item("agent_spans/create", agent_instance_id=run_id, schema_name="step")
        for _ in range(2):
            answer = await api_client.post("/bulk", {"items": [item]}, token=token)
            (output,) = answer.body["outputs"].values()
            assert output["status"] == "success", output
        listed = await api_client.get("/agent_spans", {"agent_instance_id": run_id}, token=token)
        assert len(listed.summaries) == (2 if run_id == "their-run" else 1)
