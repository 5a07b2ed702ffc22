"""Statuses: arguments take documented ones, and responses may have others."""

from __future__ import annotations

import copy
import pickle
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from client_fixture import INSTANCE, SPAN
from prefactor_http import (
    AgentInstance,
    AgentSpan,
    AgentStatus,
    ApiResponse,
    BulkItem,
    BulkOutput,
    BulkRequest,
    BulkResponse,
    PrefactorHttpClient,
)
from prefactor_http.models.base import ListResponse, ReplyModel
from prefactor_http.testing import Reply, ScriptedServer

MODELS: list[tuple[type[ReplyModel], dict[str, Any]]] = [
    (AgentInstance, INSTANCE),
    (AgentSpan, SPAN),
]
WORDS = get_args(AgentStatus)
FUTURE = "hibernating"


def both(name: str) -> Any:
    """Run a test for runs and for spans."""
    return pytest.mark.parametrize(("model", "fields"), MODELS, ids=[name + "-run", name + "-span"])


@both("strict")
@pytest.mark.parametrize("status", ["done", "", "Active", "active ", 5, None, ["active"], True])
def test_an_undocumented_status_is_refused(
    model: type[ReplyModel], fields: dict[str, Any], status: Any
) -> None:
    """Constructing and validating raise one error, which lists the documented states."""
    wrong = {**fields, "status": status}
    for make in (
        lambda: model(**wrong),
        lambda: model.model_validate(wrong),
        lambda: ApiResponse[model].model_validate({"status": "success", "details": wrong}),  # type: ignore[valid-type]
        lambda: ListResponse[model].model_validate(  # type: ignore[valid-type]
            {"status": "success", "summaries": [wrong], "pagination": None, "sorting": None}
        ),
    ):
        with pytest.raises(ValidationError) as caught:
            make()
        [line] = caught.value.errors()
        assert (line["type"], line["loc"][-1]) == ("literal_error", "status")
        assert "'cancelled'" in line["msg"]


@both("strict JSON")
def test_json_is_validated_like_objects(model: type[ReplyModel], fields: dict[str, Any]) -> None:
    """`model_validate_json` accepts the model's own output, and refuses an unknown status."""
    made = model(**fields)
    text = made.model_dump_json()
    assert model.model_validate_json(text) == made
    with pytest.raises(ValidationError, match="status"):
        model.model_validate_json(text.replace(fields["status"], "done"))


def test_every_documented_status_is_accepted() -> None:
    """A span accepts its five statuses, and a run accepts `terminated` as well."""
    assert [AgentSpan(**{**SPAN, "status": word}).status for word in WORDS] == list(WORDS)
    assert AgentInstance(**{**INSTANCE, "status": "terminated"}).status == "terminated"


@both("tolerant")
@pytest.mark.parametrize("status", ["terminated", FUTURE, "", "Active"])
def test_an_unknown_status_keeps_its_text(
    model: type[ReplyModel], fields: dict[str, Any], status: str
) -> None:
    """An unknown status keeps its text through copies, pickles and dumps, without a warning."""
    found: Any = model.from_reply({**fields, "status": status, "field_of_the_future": 1})
    assert type(found.status) is str
    assert found.raw["field_of_the_future"] == 1
    copies = (
        copy.copy(found),
        copy.deepcopy(found),
        found.model_copy(),
        pickle.loads(pickle.dumps(found)),  # noqa: S301 - made here
        model.model_validate(found),
        model.from_reply(found.model_dump(mode="json")),
    )
    assert [each.status for each in (found, *copies)] == [status] * 7
    assert found.model_dump()["status"] == status
    assert f'"status":"{status}"' in found.model_dump_json()


@both("still required")
@pytest.mark.parametrize("status", [5, None, ["active"]])
def test_a_status_must_be_text(
    model: type[ReplyModel], fields: dict[str, Any], status: Any
) -> None:
    """A value that is not text is not a status."""
    with pytest.raises(ValidationError, match="status"):
        model.from_reply({**fields, "status": status})


async def test_every_way_of_reading_is_tolerant(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """Objects, pages, iterators and writes return unknown statuses of a newer server."""
    run, span = {**INSTANCE, "status": FUTURE}, {**SPAN, "status": FUTURE}
    for row in (run, span):
        page = {"summaries": [row], "pagination": None, "sorting": None}
        server.script(*[Reply(200, {"details": row})] * 2, *[Reply(200, page)] * 2)
        resource: Any = client.agent_instances if row is run else client.agent_spans
        filters = {"agent_id": "ag1"}
        found = [
            await resource.get("i1"),
            await resource.finish("i1"),
            *await resource.list(**filters),
            *[each async for each in resource.iterate(**filters)],
        ]
        assert [each.status for each in found] == [FUTURE] * 4


async def test_outcomes_of_bulk_items(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """An unknown outcome does not hide the others; constructing one is refused."""
    outputs = {"key-0001": {"status": "success"}, "key-0002": {"status": "queued", "at": 5}}
    server.script(Reply(200, {"status": "success", "outputs": outputs}))
    items = [BulkItem(_type="agents/list", idempotency_key=key) for key in outputs]
    found = (await client.bulk.execute(BulkRequest(items=items))).outputs
    assert [each.status for each in found.values()] == ["success", "queued"]
    assert pickle.loads(pickle.dumps(found["key-0002"])).model_dump() == outputs["key-0002"]  # noqa: S301
    for make in (
        lambda: BulkOutput(status="queued"),
        lambda: BulkOutput.validate_status("queued"),
        lambda: BulkResponse.model_validate({"outputs": outputs}),
    ):
        with pytest.raises(ValueError, match="status must be 'success' or 'error'"):
            make()
