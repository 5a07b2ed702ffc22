"""The fake API: routing and idempotency."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from prefactor_http.testing import agent_instance, agent_span, bulk
from prefactor_http.testing.faults import Reply
from prefactor_http.testing.store import (
    ApiFailure,
    Call,
    JsonObject,
    Store,
    field_error,
    invalid,
    is_object,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefactor_http.testing.wire import RecordedRequest

    Operation: TypeAlias = Callable[[Store, Call], JsonObject]

_BASE = "/api/v1/"
_LONGEST_KEY = 128


def _ping(_store: Store, _call: Call) -> JsonObject:
    return {"details": {"type": "ping"}}


_READS: dict[str, Operation] = {
    "ping": _ping,
    "agent_instances/show": agent_instance.show,
    "agent_instances/list": agent_instance.list_,
    "agent_spans/show": agent_span.show,
    "agent_spans/list": agent_span.list_,
}
_WRITES: dict[str, Operation] = {
    "agent_instances/register": agent_instance.register,
    "agent_instances/start": agent_instance.start,
    "agent_instances/finish": agent_instance.finish,
    "agent_instances/terminate": agent_instance.terminate,
    "agent_instances/record_quality": agent_instance.record_quality,
    "agent_instances/set_metadata": agent_instance.set_metadata,
    "agent_instances/heartbeat": agent_instance.heartbeat,
    "agent_spans/create": agent_span.create,
    "agent_spans/finish": agent_span.finish,
}
# Method and path below the base, where `*` stands for an id; the first match wins.
_ROUTES: tuple[tuple[str, str, str], ...] = (
    ("GET", "ping", "ping"),
    ("POST", "bulk", "bulk"),
    ("POST", "agent_instance/register", "agent_instances/register"),
    ("POST", "agent_instance/heartbeat", "agent_instances/heartbeat"),
    ("POST", "agent_instance/*/start", "agent_instances/start"),
    ("POST", "agent_instance/*/finish", "agent_instances/finish"),
    ("POST", "agent_instance/*/terminate", "agent_instances/terminate"),
    ("POST", "agent_instance/*/record_quality", "agent_instances/record_quality"),
    ("PUT", "agent_instance/*/metadata", "agent_instances/set_metadata"),
    ("GET", "agent_instance/*", "agent_instances/show"),
    ("GET", "agent_instance", "agent_instances/list"),
    ("POST", "agent_spans/*/finish", "agent_spans/finish"),
    ("POST", "agent_spans", "agent_spans/create"),
    ("GET", "agent_spans/*", "agent_spans/show"),
    ("GET", "agent_spans", "agent_spans/list"),
)


class FakeApi:
    """An in-memory fake of the API: instances, spans, bulk and idempotent replay.

    With `idempotent=False` it applies every write it receives, so that `applied` counts how often a
    client sent it.
    """

    def __init__(self, store: Store, token: str, *, idempotent: bool = True) -> None:
        """Create an API over `store` that accepts `token`."""
        self.store = store
        self._token = token
        self._idempotent = idempotent
        self._answers: dict[tuple[str, str], tuple[str, str]] = {}

    def answer(self, request: RecordedRequest) -> Reply:
        """Process a request and return the response."""
        try:
            if request.headers.get("authorization") != f"Bearer {self._token}":
                raise ApiFailure(401, "bad_authtoken", "Unknown token")
            operation, id_ = _route(request.method, request.path)
            body = _body(request)
            if operation == "bulk":
                return Reply(200, {"status": "success", "outputs": self._bulk(body)})
            return self._perform(operation, Call(id_, request.query, body), _key(request, body))
        except ApiFailure as failure:
            return Reply(failure.status, failure.body)

    def _perform(self, operation: str, call: Call, key: str | None) -> Reply:
        if operation in _READS:
            return Reply(200, {"status": "success", **_READS[operation](self.store, call)})
        if operation not in _WRITES:
            raise ApiFailure(501, "not_implemented", f"The fake has no operation {operation}")
        stored = self._answers.get((operation, key)) if key and self._idempotent else None
        if key and stored:
            return self._replay(operation, call, key, stored)
        body = {"status": "success", **_WRITES[operation](self.store, call)}
        if key:
            self.store.applied[key] += 1
            self._answers[operation, key] = (_fingerprint(call), json.dumps(body))
        return Reply(200, self._with_control(operation, body))

    def _replay(self, operation: str, call: Call, key: str, stored: tuple[str, str]) -> Reply:
        fingerprint, body = stored
        if fingerprint != _fingerprint(call):
            message = "The idempotency key was used for a different request"
            raise ApiFailure(409, "idempotency_key_already_used", message)
        self.store.replayed[key] += 1
        answered = self._with_control(operation, json.loads(body))
        return Reply(200, answered, {"Idempotent-Replayed": "true"})

    def _with_control(self, operation: str, body: JsonObject) -> JsonObject:
        if not operation.startswith("agent_spans/"):
            return body
        return {**body, **agent_span.control(self.store, body)}

    def _bulk(self, body: JsonObject) -> JsonObject:
        outputs: JsonObject = {}
        for item in bulk.items(body):
            key = item["idempotency_key"]
            try:
                outputs[key] = self._perform(item["_type"], bulk.call(item), key).body
            except ApiFailure as failure:
                outputs[key] = failure.body
                break
        return outputs


def _route(method: str, path: str) -> tuple[str, str]:
    segments = path.removeprefix(_BASE).split("/") if path.startswith(_BASE) else []
    for route_method, pattern, operation in _ROUTES:
        parts = pattern.split("/")
        if method == route_method and len(parts) == len(segments):
            pairs = list(zip(parts, segments, strict=True))
            if all(part in ("*", segment) for part, segment in pairs):
                return operation, next((there for part, there in pairs if part == "*"), "")
    raise ApiFailure(404, "not_found", f"No operation at {method} {path}")


def _body(request: RecordedRequest) -> JsonObject:
    try:
        body: Any = request.json
    except ValueError:
        raise ApiFailure(400, "bad_request", "The body is not JSON") from None
    if body is None:
        return {}
    if is_object(body):
        return body
    raise ApiFailure(400, "bad_request", "The body is not an object")


def _key(request: RecordedRequest, body: JsonObject) -> str | None:
    details: Any = body.get("details")
    inner: Any = details.get("idempotency_key") if is_object(details) else None
    header = request.headers.get("idempotency-key")
    in_body: Any = body.get("idempotency_key") or inner
    if header and in_body and header != in_body:
        raise ApiFailure(400, "bad_request", "Header and body name different idempotency keys")
    key: Any = header or in_body
    if key is not None and not (isinstance(key, str) and 1 <= len(key) <= _LONGEST_KEY):
        message = f"must be a string of 1 to {_LONGEST_KEY} characters"
        raise invalid({"idempotency_key": field_error("invalid_value", message)})
    return key


def _fingerprint(call: Call) -> str:
    body = {name: value for name, value in call.body.items() if name != "idempotency_key"}
    details: Any = body.get("details")
    if is_object(details):
        body["details"] = {**details, "idempotency_key": None}
    return json.dumps([call.id, body], sort_keys=True)
