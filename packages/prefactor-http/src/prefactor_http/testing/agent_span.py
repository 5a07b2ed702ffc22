"""Spans of the fake API.

create --> pending --finish(cancelled)--> cancelled
       --> active  --finish-------------> complete, failed, cancelled
       --> complete, failed, cancelled
"""

from __future__ import annotations

from typing import Any

from prefactor_http.testing.agent_instance import (
    FINISH_STATUSES,
    SPAN_STATUSES,
    count,
    finish_status,
)
from prefactor_http.testing.paging import page
from prefactor_http.testing.store import (
    ApiFailure,
    Call,
    JsonObject,
    Store,
    field_error,
    invalid,
    is_object,
    parsed_timestamp,
)


def create(store: Store, call: Call) -> JsonObject:
    """Create a span. Its instance may have any status, because spans can arrive early or late."""
    details = _details(call)
    status = _status(details)
    instance = store.instance(details.required("agent_instance_id"))
    id_ = details.text("id") or store.new_id()
    if id_ in store.spans:
        raise ApiFailure(409, "invalid_action", "Agent span id is already used")
    result_payload = _object(details, "result_payload")
    if result_payload is not None and status not in FINISH_STATUSES:
        raise invalid({"result_payload": field_error("invalid_value", "the span is not finished")})
    schema_name = details.required("schema_name")
    now = store.now()
    started_at = None if status == "pending" else parsed_timestamp(details, "started_at") or now
    finished_at = parsed_timestamp(details, "finished_at")
    store.spans[id_] = {
        "type": "agent_span",
        "id": id_,
        "account_id": instance["account_id"],
        "agent_id": instance["agent_id"],
        "agent_instance_id": instance["id"],
        "parent_span_id": details.text("parent_span_id"),
        "schema_name": schema_name,
        "schema_title": schema_name,
        "status": status,
        "payload": _object(details, "payload") or {},
        "result_payload": result_payload,
        "summary": None,
        "started_at": started_at,
        "finished_at": (finished_at or now) if status in FINISH_STATUSES else None,
        "inserted_at": now,
        "updated_at": now,
    }
    count(instance, None, status)
    return {"details": store.spans[id_]}


def finish(store: Store, call: Call) -> JsonObject:
    """End a span. The agent may also end, once, a span that a termination has closed."""
    span = store.span(call.id)
    status, before = finish_status(call), span["status"]
    when = parsed_timestamp(call, "timestamp") or store.now()
    result_payload = _object(call, "result_payload")
    late = call.id in store.closed_by_termination
    if not (before == "active" or (before, status) == ("pending", "cancelled") or late):
        raise ApiFailure(409, "invalid_action", f"Agent span is {before} and cannot finish")
    store.closed_by_termination.discard(call.id)
    count(store.instance(span["agent_instance_id"]), before, status)
    span.update(
        status=status,
        started_at=span["started_at"] or when,
        finished_at=when,
        updated_at=store.now(),
    )
    if result_payload is not None:
        span["result_payload"] = result_payload
    return {"details": span}


def show(store: Store, call: Call) -> JsonObject:
    """Return one span."""
    return {"details": store.span(call.id)}


def list_(store: Store, call: Call) -> JsonObject:
    """Return a page of the spans of an instance or an agent, optionally within a time range."""
    if "ids" in call.query:
        named = [store.spans[one] for one in call.query["ids"].split(",") if one in store.spans]
        return page(named, {**call.query, "pagination[page_size]": "100"})
    wanted: dict[str, str | None] = {
        name: call.query[name] for name in _FILTERS if name in call.query
    }
    if not {"agent_instance_id", "agent_id"} & wanted.keys():
        raise invalid({"agent_instance_id": field_error("required_value", "is required")})
    if wanted.get("parent_span_id") == "null":
        wanted["parent_span_id"] = None
    times = Call(body=dict(call.query))
    start, end = parsed_timestamp(times, "start_time"), parsed_timestamp(times, "end_time")
    rows = (
        row
        for row in store.spans.values()
        if wanted.items() <= row.items()
        and (start is None or (row["started_at"] or "") >= start)
        and (end is None or (row["started_at"] or "") < end)
    )
    return page(rows, call.query)


_FILTERS = ("agent_instance_id", "agent_id", "status", "schema_name", "parent_span_id")


def control(store: Store, body: JsonObject) -> JsonObject:
    """Return the control signal for the response to a span write, if its run was terminated."""
    instance = store.instances[body["details"]["agent_instance_id"]]
    if instance["status"] != "terminated":
        return {}
    return {"control": {"terminate": True, "reason": instance["termination_reason"]}}


def _details(call: Call) -> Call:
    details: Any = call.body.get("details", call.body)  # an item of a bulk request may be flat
    if not is_object(details):
        raise invalid({"details": field_error("invalid_value", "must be an object")})
    return Call(body=details)


def _status(details: Call) -> str:
    status = details.text("status") or "active"
    if status not in SPAN_STATUSES:
        allowed = ", ".join(SPAN_STATUSES)
        raise invalid({"status": field_error("invalid_value", f"must be one of {allowed}")})
    return status


def _object(call: Call, name: str) -> JsonObject | None:
    value: Any = call.body.get(name)
    if value is None or is_object(value):
        return value
    raise invalid({name: field_error("invalid_value", "must be an object")})
