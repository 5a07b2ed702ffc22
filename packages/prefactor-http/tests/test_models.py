"""The models: strict about requests, tolerant about responses."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import get_args

import pytest
from pydantic import BaseModel, ValidationError

from client_fixture import INSTANCE
from prefactor_http import (
    AgentForUpdate,
    AgentInstance,
    AgentInstanceSpanCounts,
    AgentSchemaVersionForRegister,
    AgentSpan,
    AgentStatus,
    AgentVersionForRegister,
    ApiResponse,
    DataRisk,
    FinishInstanceRequest,
    FinishStatus,
    QualitySchemaForCreate,
    SpanTypeSchemaForCreate,
    models,
)
from prefactor_http.models.agent_span import CreateAgentSpanRequest, FinishSpanRequest
from prefactor_http.models.base import ApiError, DetailedApiError, ListResponse, ReplyModel


def test_aliases() -> None:
    """The two exported status types list exactly the published members."""
    assert get_args(AgentStatus) == ("pending", "active", "complete", "failed", "cancelled")
    assert get_args(FinishStatus) == ("complete", "failed", "cancelled")


def test_an_instance_needs_nine_fields() -> None:
    """Nine fields are required, times become aware datetimes, the rest defaults to None."""
    instance = AgentInstance.model_validate(INSTANCE)
    assert instance.inserted_at == datetime(2026, 4, 13, 0, 46, 31, 218000, tzinfo=UTC)
    optional = set(AgentInstance.model_fields) - set(INSTANCE)
    assert {getattr(instance, name) for name in optional} == {None}
    for name in INSTANCE:
        with pytest.raises(ValidationError, match=name):
            AgentInstance.model_validate({k: v for k, v in INSTANCE.items() if k != name})


def test_counts_default_to_zero() -> None:
    """A count that the server does not send is zero."""
    counts = AgentInstanceSpanCounts.model_validate({"total": 3, "finished": 1})
    assert (counts.total, counts.pending, counts.finished) == (3, 0, 1)


def test_a_span_and_its_defaults() -> None:
    """A span has an empty payload unless it is sent."""
    details = {"type": "agent_span", "id": "s", "agent_instance_id": "i", "schema_name": "x"}
    span = AgentSpan.model_validate({**details, "status": "active", "unknown": 1})
    assert (span.payload, span.result_payload, span.summary) == ({}, None, None)


def test_a_model_keeps_the_raw_reply() -> None:
    """`raw` is the reply. It survives copies and pickles, and does not count in comparisons."""
    raw = {**INSTANCE, "field_of_the_future": 1}
    plain, kept = AgentInstance.model_validate(raw), AgentInstance.model_validate(raw)
    kept.remember(raw)
    assert plain.raw == {}
    assert kept.raw["field_of_the_future"] == 1
    assert kept == plain
    assert kept.model_dump() == plain.model_dump()
    assert repr(kept) == repr(plain)
    assert pickle.loads(pickle.dumps(kept)).raw == copy.deepcopy(kept).raw == raw  # noqa: S301 - made here


def test_finish_request() -> None:
    """Only given fields are sent, and a run cannot be finished as active."""
    assert FinishInstanceRequest(status="complete").model_dump(exclude_none=True) == {
        "status": "complete"
    }
    for model in (FinishInstanceRequest, FinishSpanRequest):
        with pytest.raises(ValidationError):
            model.model_validate({"status": "active"})
        with pytest.raises(ValidationError):
            model.model_validate({"status": "pending"})


def test_create_request() -> None:
    """A span can be created in five states, with an empty payload by default."""
    request = CreateAgentSpanRequest(agent_instance_id="i", schema_name="x", status="pending")
    assert request.payload == {}
    with pytest.raises(ValidationError):
        CreateAgentSpanRequest.model_validate(
            {"agent_instance_id": "i", "schema_name": "x", "status": "terminated"}
        )


def test_schemas_to_register() -> None:
    """Span types need a name and a schema; everything else is optional."""
    assert AgentVersionForRegister().to_body() == {}
    assert AgentSchemaVersionForRegister().to_body() == {}
    with pytest.raises(ValidationError, match="params_schema"):
        SpanTypeSchemaForCreate.model_validate({"name": "x"})
    span_type = SpanTypeSchemaForCreate(name="x", params_schema={"type": "object"})
    assert span_type.to_body() == {"name": "x", "params_schema": {"type": "object"}}


def test_a_quality_schema_has_an_alias() -> None:
    """The attribute is `schema_`, the wire name is `schema`, and both can be given."""
    by_name = QualitySchemaForCreate(name="q", schema_={"type": "object"})
    by_alias = QualitySchemaForCreate.model_validate({"name": "q", "schema": {"type": "object"}})
    assert by_name == by_alias
    assert by_name.to_body() == {"name": "q", "schema": {"type": "object"}}


def test_risk_is_unknown_until_stated() -> None:
    """Every risk field defaults to unknown."""
    body = DataRisk().to_body()
    assert set(body["action_profile"].values()) == {"unknown"}
    assert len(body["action_profile"]) == 6
    assert len(body["params_data_categories"]) == 18
    assert set(body["result_data_categories"].values()) == {"unknown"}


def test_an_update_clears_fields_set_to_none() -> None:
    """A missing field stays, and None clears it."""
    assert AgentForUpdate(name="n", team_id=None).to_body() == {"name": "n", "team_id": None}


def test_envelopes() -> None:
    """The envelopes can be used by themselves."""
    response = ApiResponse[AgentInstance].model_validate({"status": "ok", "details": INSTANCE})
    assert response.details.id == "i1"
    assert ApiError.model_validate({"code": "c", "message": "m"}).status == "error"
    detailed = DetailedApiError.model_validate({"code": "c", "message": "m", "errors": {"a": 1}})
    assert detailed.errors == {"a": 1}
    page = {"status": "ok", "summaries": [INSTANCE], "pagination": None, "sorting": None}
    assert ListResponse[AgentInstance].model_validate(page).summaries[0].id == "i1"
    with pytest.raises(ValidationError, match="sorting"):
        ListResponse[AgentInstance].model_validate({**page, "sorting": ...} | {"sorting": 1})


REPLIES = [
    model
    for name in models.__all__
    if isinstance(model := getattr(models, name), type) and issubclass(model, ReplyModel)
]


@pytest.mark.parametrize("model", REPLIES, ids=lambda model: model.__name__)
def test_a_failed_validation_prints_no_content(model: type[BaseModel]) -> None:
    """Tracebacks print a validation error, so its text has nothing from the reply."""
    with pytest.raises(ValidationError) as info:
        model.model_validate("a secret word")
    assert "secret" not in str(info.value)
