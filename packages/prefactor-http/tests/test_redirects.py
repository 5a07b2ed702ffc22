"""A redirect is an error that names its target, and is never followed."""

from __future__ import annotations

import pickle

import pytest

from prefactor_http import (
    PrefactorHttpClient,
    PrefactorRedirectError,
    PrefactorResponseContractError,
    is_permanent_http_error,
)
from prefactor_http.testing import Reply, ScriptedServer

STATUSES = [300, 301, 302, 303, 305, 307, 308, 399]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("method", METHODS)
async def test_no_redirect_is_followed(
    client: PrefactorHttpClient, server: ScriptedServer, method: str, status: int
) -> None:
    """Neither reads nor writes follow a redirect, even if the target answers with success."""
    body = None if method == "HEAD" else {"status": "success", "details": {}}
    async with ScriptedServer() as other:
        headers = {"Location": f"{other.url}/api/v1/ping"}
        server.script(*[Reply(status, body, headers)] * 2)
        for raw in (False, True):
            with pytest.raises(PrefactorRedirectError) as caught:
                await (
                    client.request_bytes(method, "/api/v1/ping", b"{}")
                    if raw
                    else client.request(method, "/api/v1/ping", idempotency_key="k")
                )
            error = caught.value
            assert (error.status_code, error.attempts) == (status, 1)
            assert error.target == f"{other.url}/api/v1/ping"
            assert str(status) in str(error)
            assert error.target in str(error)
            assert is_permanent_http_error(error)
        assert other.requests == []
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_typed_write_is_not_followed(
    client: PrefactorHttpClient, server: ScriptedServer, status: int
) -> None:
    """A typed write is not reported as done because the redirect's target answers a GET."""
    run = server.add_instance()
    server.script(Reply(status, None, {"Location": "/api/v1/agent_spans"}))
    with pytest.raises(PrefactorRedirectError):
        await client.agent_spans.create(run, "x", "active", {"secret": "payload"})
    assert [request.method for request in server.requests] == ["POST"]
    assert not server.spans


TARGETS = {
    "https://user:sesame-5@other.test/a?key=sesame-5#sesame-5": "https://***@other.test/a…",
    "//user:sesame-5@other.test/a": "//***@other.test/a",
    "https:user:sesame-5@other.test": "***@other.test",
    "https:\\\\user:sesame-5@other.test": "https:\\\\***@other.test",
    "https://[user:sesame-5@other.test": "https://***@other.test",
    "/a;session=sesame-5": "/a…",
    "/login?next=sesame-5": "/login…",
    "/token/test-token": "/token/[redacted]",
    "/x" + "y" * 500: "/x" + "y" * 198 + "…",
}


@pytest.mark.parametrize("location", TARGETS)
async def test_the_target_is_named_without_secrets(
    client: PrefactorHttpClient, server: ScriptedServer, location: str
) -> None:
    """Userinfo, query, fragment, parameters and the token are left out, in copies too."""
    server.script(Reply(308, None, {"Location": location}))
    with pytest.raises(PrefactorRedirectError) as caught:
        await client.request("GET", "/api/v1/ping")
    assert caught.value.target == TARGETS[location]
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - made here
    for text in (str(caught.value), repr(caught.value), str(vars(caught.value)), str(vars(copy))):
        assert "sesame" not in text
        assert "test-token" not in text
    assert "api_url" in str(caught.value)


async def test_a_redirect_without_a_target(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A redirect without a target raises an error that says what happened."""
    server.script(Reply(302, None))
    with pytest.raises(PrefactorRedirectError, match="nowhere") as caught:
        await client.request("GET", "/api/v1/ping")
    assert caught.value.target is None


async def test_not_modified_is_not_a_redirect(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A 304 answers a conditional read, and `request` raises because it needs an object."""
    server.script(Reply(304, None), Reply(304, None))
    assert (await client.request_bytes("GET", "/api/v1/ping", b"")).status == 304
    with pytest.raises(PrefactorResponseContractError):
        await client.request("GET", "/api/v1/ping")
