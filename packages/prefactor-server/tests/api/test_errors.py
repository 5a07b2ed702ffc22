"""The contract of errors: one body, everywhere but at the endpoints of OTLP, which has its own.

Every response of every operation carries ``X-Request-Id``. Every error is JSON with ``status``
(``error``), a ``code``, a ``message`` for people and the same ``request_id``; fields that were
refused are under ``errors``, nested as the request is, each with the same three members.
"""

from typing import Any

import pytest

from prefactor_server.api.kernel.errors import STATUSES, error_headers, status_of
from prefactor_server.api.operations import OPERATIONS
from prefactor_server.commands.base import Stale
from prefactor_server.domain import errors
from prefactor_server.domain.errors import Overloaded, Refusal, Unavailable
from prefactor_server.otlp.status import PATHS as OTLP_PATHS

CALLS = sorted(
    {
        (one.method, one.path)
        for one in OPERATIONS
        if one.access != "public" and one.path not in OTLP_PATHS
    }
)


def _check(answer: Any) -> None:
    body = answer.body
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Request-Id"] == body["request_id"]
    assert answer.headers["Accept-Encoding"] == "gzip"
    assert set(body) - {"errors", "limit", "limit_of"} == {
        "status",
        "code",
        "message",
        "request_id",
    }
    assert body["status"] == "error"
    assert isinstance(body["message"], str)
    assert ("errors" in body) == (body["code"] == "validation_errors")
    for error in body.get("errors", {}).values():
        _check_field(error)


def _check_field(error: Any) -> None:
    if error.get("status") == "error":
        assert set(error) == {"status", "code", "message"}
        assert error["code"] in ("required_value", "invalid_value", "unexpected_ref_type")
    else:
        assert error
        for inner in error.values():
            _check_field(inner)


async def test_every_operation_fails_in_the_same_shape(api_client: Any) -> None:
    """A missing token, an unknown parameter and an invalid body all give the same error body."""
    known = api_client.token
    bodies: list[Any] = ["{", "[]", "5", b"\xff", '{"a":"\\ud800"}', "[" * 2000, "nul"]
    for method, whole in CALLS:
        path = whole.removeprefix("/api/v1").replace("{", "x").replace("}", "x")
        api_client.token = None
        answers = [await api_client.call(method, path)]
        api_client.token = known
        if method == "GET":
            answers.append(await api_client.get(f"{path}?colour=red"))
        else:
            answers += [await api_client.post(path, body) for body in bodies]

        for answer in answers:
            assert 400 <= answer.status < 500, (method, path)
            _check(answer)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "", 404, "not_found"),
        ("GET", "/", 404, "not_found"),
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/agent/", 404, "not_found"),
        ("GET", "/agent/a/b", 404, "not_found"),
        ("GET", "/ping/", 404, "not_found"),
        ("POST", "/agent_instance/a/b/c", 404, "not_found"),
        ("DELETE", "/agent", 405, "bad_request"),
        ("PATCH", "/agent_spans", 405, "bad_request"),
        ("GET", "/agent_instance/a/start", 405, "bad_request"),
        ("GET", "/bulk", 405, "bad_request"),
    ],
)
async def test_unknown_paths_fail_in_the_same_shape(
    api_client: Any, method: str, path: str, status: int, code: str
) -> None:
    """Unknown paths and methods give the same body; a wrong method gets the allowed ones."""
    answer = await api_client.call(method, path)

    answer.refused(status, code)
    _check(answer)
    assert ("Allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("position", ["soon", "-1", "1.5", "", "9" * 20])
async def test_a_position_that_is_no_number(api_client: Any, position: str) -> None:
    """A position that no answer can have had is rejected, and the error names its header."""
    answer = await api_client.get("/agent_instance", headers={"X-Prefactor-Position": position})

    answer.refused(400, "bad_request")
    assert "X-Prefactor-Position must be a number" in answer.body["message"]
    _check(answer)


async def test_every_response_has_a_unique_id(api_client: Any) -> None:
    """Every response has a unique id made by the server, whatever the client sends."""
    sent = {"X-Request-Id": "mine"}

    ids = {(await api_client.get("/ping", headers=sent)).headers["X-Request-Id"] for _ in range(5)}

    assert len(ids) == 5
    assert "mine" not in ids


async def test_an_unexpected_error_reveals_nothing(
    api_client: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unexpected error is a 500 with an id; the log has its place, and no values."""

    async def fail(account_id: str, ref: str) -> Any:
        payload = "payload-of-somebody"
        raise ValueError(payload, ref)

    monkeypatch.setattr(api_client.storage, "agent", fail)
    answer = await api_client.get("/agent/name-of-somebody")

    _check(answer)
    answer.refused(500, "unexpected")
    logged = capsys.readouterr().out
    assert answer.body["request_id"] in logged
    assert "ValueError" in logged
    assert "test_errors.py" in logged
    for secret in ("payload-of-somebody", "name-of-somebody", api_client.token):
        assert secret not in logged
        assert secret not in answer.text


async def test_a_full_queue_has_a_retry_after(api_client: Any) -> None:
    """Too many waiting writes are answered 429 with Retry-After, alone and in bulk alike."""
    run = await api_client.register()
    submit = api_client.writer.submit

    async def refuse(commands: Any, size: int) -> Any:
        raise Overloaded("Too many writes are waiting", retry_after=7)

    api_client.writer.submit = refuse
    item = {"_type": "agent_instances/start", "idempotency_key": "key-0001", "id": run["id"]}
    answers = [
        await api_client.post(f"/agent_instance/{run['id']}/start"),
        await api_client.post("/bulk", {"items": [item]}),
    ]
    api_client.writer.submit = submit

    for answer in answers:
        _check(answer)
        answer.refused(429, "unknown")
        assert answer.headers["Retry-After"] == "7"


async def test_a_write_that_keeps_conflicting_is_given_up(api_client: Any) -> None:
    """A write that keeps conflicting is a 503 with a Retry-After."""
    run = await api_client.register()
    submit = api_client.writer.submit

    async def stale(commands: Any, size: int) -> Any:
        return [Stale()]

    api_client.writer.submit = stale
    answer = await api_client.post(f"/agent_instance/{run['id']}/start")
    api_client.writer.submit = submit

    _check(answer)
    assert "Concurrent requests keep changing" in answer.refused(503, "unexpected")["message"]
    assert answer.headers["Retry-After"] == "1"


async def test_a_read_only_storage_gets_a_503(api_client: Any) -> None:
    """Writes that cannot be stored now are a 503, and reads still work."""
    run = await api_client.register()
    submit = api_client.writer.submit

    async def refuse(commands: Any, size: int) -> Any:
        raise Unavailable("The disk is full")

    api_client.writer.submit = refuse
    answer = await api_client.post(f"/agent_instance/{run['id']}/start")
    read = await api_client.get(f"/agent_instance/{run['id']}")
    api_client.writer.submit = submit

    _check(answer)
    assert answer.refused(503, "unexpected")["message"] == "The disk is full"
    # Answers to writes omit what is computed on reading.
    computed = {"span_schema_counts", "cost_breakdown", "raised_alert_count"}
    assert {k: v for k, v in read.details.items() if k not in computed} == {
        k: v for k, v in run.items() if k not in computed
    }


def test_every_refusal_has_a_status() -> None:
    """Every class of refusal has a status, its own or its base's."""
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, Refusal) and kind is not Refusal
    ]

    assert {kind.__name__: status_of(kind) for kind in kinds}.items() >= {
        "BadRequest": 400,
        "NotAuthenticated": 401,
        "BadToken": 401,
        "NotPermitted": 403,
        "NotFound": 404,
        "InvalidAction": 409,
        "IdempotencyKeyUsed": 409,
        "TooLarge": 413,
        "ValidationFailed": 422,
        "Overloaded": 429,
        "Unavailable": 503,
    }.items()
    assert all(100 <= status < 600 for status in STATUSES.values())
    assert error_headers(Overloaded("later", 3)) == [(b"retry-after", b"3")]
