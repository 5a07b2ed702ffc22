"""Agent instances of the fake API.

register --> pending --start--> active --finish--> complete, failed, cancelled
                |                  '---terminate-> terminated
                '---finish(cancelled)------------> cancelled
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from prefactor_http.testing.paging import page
from prefactor_http.testing.store import (
    ApiFailure,
    Call,
    JsonObject,
    Store,
    field_error,
    invalid,
    parsed_timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

SPAN_STATUSES = ("pending", "active", "complete", "failed", "cancelled")
_MOST_HEARTBEATS = 1000
FINISH_STATUSES = ("complete", "failed", "cancelled")
_FILTERS = (
    "agent_id",
    "agent_version_id",
    "environment_id",
    "external_identifier",
    "purpose",
    "status",
)
_ACCOUNT_ID = "013xrzp12g3nqk8naccnt00000000000"
_DEFAULT_AGENT_ID = "013xrzp12g3nqk8nagent00000000000"
_DEFAULT_ENVIRONMENT_ID = "013xrzp12g3nqk8nenv0000000000000"
_DEPLOYMENT_ID = "013xrzp12g3nqk8ndep0000000000000"
_VERSION_ID = "013xrzp12g3nqk8nvers000000000000"


def register(store: Store, call: Call) -> JsonObject:
    """Create a pending instance. Versions and schemas are not validated."""
    id_ = call.text("id") or store.new_id()
    if id_ in store.instances:
        raise ApiFailure(409, "invalid_action", "Agent instance id is already used")
    now = store.now()
    store.instances[id_] = {
        "type": "agent_instance",
        "id": id_,
        "account_id": _ACCOUNT_ID,
        "agent_id": call.text("agent_id") or _DEFAULT_AGENT_ID,
        "agent_version_id": _VERSION_ID,
        "agent_deployment_id": _DEPLOYMENT_ID,
        "environment_id": call.text("environment_id") or _DEFAULT_ENVIRONMENT_ID,
        "external_identifier": call.text("external_identifier"),
        "purpose": call.text("purpose") or "live",
        "status": "pending",
        "termination_reason": None,
        "ended_by": None,
        "abandoned": False,
        "started_at": None,
        "finished_at": None,
        "inserted_at": now,
        "updated_at": now,
        "metadata": call.body.get("metadata") or {},
        "quality_payloads": {},
        "quality_summaries": {},
        "span_counts": dict.fromkeys(("total", *SPAN_STATUSES, "finished"), 0),
    }
    return {"details": store.instances[id_]}


def start(store: Store, call: Call) -> JsonObject:
    """Start a pending instance."""
    instance = store.instance(call.id)
    _check(instance, {"pending"}, "be started")
    return _move(store, instance, "active", started_at=_when(store, call))


def finish(store: Store, call: Call) -> JsonObject:
    """End an instance with the status that its agent reports."""
    instance = store.instance(call.id)
    status = finish_status(call)
    when = _when(store, call)
    _check(instance, {"active", "pending"} if status == "cancelled" else {"active"}, "finish")
    started_at = instance["started_at"] or when
    return _move(store, instance, status, started_at=started_at, finished_at=when)


def terminate(store: Store, call: Call) -> JsonObject:
    """Terminate an active instance, and cancel its open spans."""
    instance = store.instance(call.id)
    reason = call.required("reason")
    _check(instance, {"active"}, "be terminated")
    when = store.now()
    for span in store.spans.values():
        if span["agent_instance_id"] == call.id and span["status"] in {"pending", "active"}:
            count(instance, span["status"], "cancelled")
            span.update(status="cancelled", finished_at=when, updated_at=when)
            store.closed_by_termination.add(span["id"])
    return _move(store, instance, "terminated", finished_at=when, termination_reason=reason)


def record_quality(store: Store, call: Call) -> JsonObject:
    """Store a named evaluation of an instance, or remove it if the payload is null."""
    instance = store.instance(call.id)
    name, payload = call.required("name"), call.body.get("payload")
    instance["quality_payloads"].pop(name, None)
    instance["quality_summaries"].pop(name, None)
    if payload is not None:
        instance["quality_payloads"][name] = payload
    return {"details": instance}


def set_metadata(store: Store, call: Call) -> JsonObject:
    """Set keys of an instance's metadata, and remove those whose value is null."""
    instance = store.instance(call.id)
    texts: JsonObject = {**instance["metadata"], **call.body["metadata"]}
    instance["metadata"] = {key: text for key, text in texts.items() if text is not None}
    return {"details": instance}


def show(store: Store, call: Call) -> JsonObject:
    """Return one instance."""
    return {"details": store.instance(call.id)}


def heartbeat(store: Store, call: Call) -> JsonObject:
    """Return the control signals of the given instances that were terminated."""
    given: Any = call.body.get("ids")
    ids = cast("list[str]", given) if isinstance(given, list) else []
    if not 1 <= len(ids) <= _MOST_HEARTBEATS:
        message = f"must be 1 to {_MOST_HEARTBEATS} ids of runs"
        raise invalid({"ids": field_error("invalid_value", message)})
    known = {id_: store.instances[id_] for id_ in ids if id_ in store.instances}
    controls = {
        id_: {"terminate": True, "reason": instance["termination_reason"]}
        for id_, instance in known.items()
        if instance["status"] == "terminated"
    }
    unknown = [id_ for id_ in ids if id_ not in known]
    return {"details": {"type": "heartbeat", "controls": controls, "unknown_ids": unknown}}


def list_(store: Store, call: Call) -> JsonObject:
    """Return a page of the instances that match the query's filters."""
    wanted = {name: call.query[name] for name in _FILTERS if name in call.query}
    labels = {
        name[len("metadata[") : -1]: text
        for name, text in call.query.items()
        if name.startswith("metadata[")
    }
    rows = (
        row
        for row in store.instances.values()
        if wanted.items() <= row.items() and labels.items() <= row["metadata"].items()
    )
    return page(rows, call.query)


def count(instance: JsonObject, before: str | None, after: str) -> None:
    """Update an instance's span counts for one span whose status changed."""
    counts: dict[str, int] = instance["span_counts"]
    if before is None:
        counts["total"] += 1
    else:
        counts[before] -= 1
    counts[after] += 1
    counts["finished"] = sum(counts[status] for status in FINISH_STATUSES)


def finish_status(call: Call) -> str:
    """Return the requested status of a finish, defaulting to `complete`."""
    status = call.text("status") or "complete"
    if status not in FINISH_STATUSES:
        allowed = ", ".join(FINISH_STATUSES)
        raise invalid({"status": field_error("invalid_value", f"must be one of {allowed}")})
    return status


def _when(store: Store, call: Call) -> str:
    return parsed_timestamp(call, "timestamp") or store.now()


def _check(instance: JsonObject, allowed: Iterable[str], action: str) -> None:
    status = instance["status"]
    if status not in allowed:
        message = f"Agent instance is {status} and cannot {action}"
        raise ApiFailure(409, "invalid_action", message)


def _move(store: Store, instance: JsonObject, status: str, **changes: str) -> JsonObject:
    instance.update(changes, status=status, updated_at=store.now())
    return {"details": instance}
