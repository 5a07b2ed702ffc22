"""Bulk requests: what they may contain, and what their reply means."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from prefactor_http import (
    BulkItem,
    BulkOutput,
    BulkRequest,
    BulkResponse,
    PrefactorApiError,
    PrefactorHttpClient,
    PrefactorResponseContractError,
    PrefactorValidationError,
)
from prefactor_http.testing import Reply, ScriptedServer


def item(key: str = "span-0001", **extra: object) -> BulkItem:
    """An item under a key."""
    return BulkItem.model_validate({"_type": "agents/list", "idempotency_key": key, **extra})


@pytest.mark.parametrize(("length", "fits"), [(7, False), (8, True), (64, True), (65, False)])
def test_key_length(length: int, fits: bool) -> None:
    """Keys have 8 to 64 characters."""
    if fits:
        assert item("k" * length).idempotency_key == "k" * length
    else:
        with pytest.raises(ValidationError, match="idempotency_key"):
            item("k" * length)


def test_the_type_has_an_alias() -> None:
    """`_type` is the argument and the field on the wire, `type` the attribute only."""
    made = BulkItem(_type="agents/show", idempotency_key="show-0001", agent_id="a")
    assert made.type == "agents/show"
    assert made.model_dump(by_alias=True) == {
        "_type": "agents/show",
        "idempotency_key": "show-0001",
        "agent_id": "a",
    }
    with pytest.raises(ValidationError, match="_type"):
        BulkItem.model_validate({"type": "agents/show", "idempotency_key": "show-0001"})


def test_a_request_has_items_under_different_keys() -> None:
    """A request has at least one item, and each has a different key."""
    with pytest.raises(ValidationError, match="items"):
        BulkRequest(items=[])
    with pytest.raises(ValueError, match="All idempotency keys must be unique within the request"):
        BulkRequest(items=[item(), item()])


def test_outputs() -> None:
    """An output is a success or an error, and the returned fields are its attributes."""
    output = BulkOutput.model_validate({"status": "error", "code": "not_found", "message": "m"})
    assert output.code == "not_found"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="status must be 'success' or 'error'"):
        BulkOutput(status="maybe")
    assert BulkOutput.validate_status("success") == "success"
    assert BulkResponse(outputs={}).status == "success"


async def test_items_run_up_to_the_first_error(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A failing item raises nothing, and the items after it have no output."""
    instance = server.add_instance()
    span = {"agent_instance_id": instance, "schema_name": "x", "status": "active"}
    request = BulkRequest(
        items=[
            item("create-0001", **span).model_copy(update={"type": "agent_spans/create"}),
            item("create-0002", **{**span, "agent_instance_id": "nobody"}).model_copy(
                update={"type": "agent_spans/create"}
            ),
            item("create-0003", **span).model_copy(update={"type": "agent_spans/create"}),
        ]
    )
    response = await client.bulk.execute(request)
    assert [(key, out.status) for key, out in response.outputs.items()] == [
        ("create-0001", "success"),
        ("create-0002", "error"),
    ]
    sent = server.requests[0]
    assert sent.json["items"][0]["_type"] == "agent_spans/create"
    assert sent.headers["idempotency-key"]


async def test_a_refused_request_raises(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A refusal of the whole request raises like any other error."""
    server.script(Reply.error(422, "validation_errors", "no"))
    with pytest.raises(PrefactorValidationError):
        await client.bulk.execute(BulkRequest(items=[item()]))


async def test_a_reply_of_another_shape_breaks_the_contract(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """An unexpected reply raises, because guessing outputs would lose data."""
    server.script(Reply(200, {"status": "success", "outputs": {"a": {"status": 5}}}))
    with pytest.raises(
        PrefactorResponseContractError, match=r"^Invalid response payload for bulk\.execute$"
    ) as info:
        await client.bulk.execute(BulkRequest(items=[item()]))
    assert isinstance(info.value.cause, ValidationError)
    assert info.value.status_code is None


@pytest.mark.parametrize(
    ("status", "error"), [(413, PrefactorApiError), (422, PrefactorValidationError)]
)
async def test_a_request_over_the_limit_names_the_limit(
    client: PrefactorHttpClient,
    server: ScriptedServer,
    status: int,
    error: type[PrefactorApiError],
) -> None:
    """A request that is too large raises with the limit, if the server sent it."""
    request = BulkRequest(items=[item()])
    told = {"status": "error", "code": "bad_request", "message": "Too much"}
    server.script(
        Reply(status, {**told, "limit": 1000, "limit_of": "items"}),
        Reply(status, {**told, "limit": True, "limit_of": 5}),
        Reply(status, told),
    )
    found = []
    for _ in range(3):
        with pytest.raises(error) as caught:
            await client.bulk.execute(request)
        found.append((caught.value.limit, caught.value.limit_of))
    assert found == [(1000, "items"), (None, None), (None, None)]
