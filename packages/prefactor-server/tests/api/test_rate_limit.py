"""Requests over a token's rate limit, through the API."""

from dataclasses import replace
from typing import Any

import pytest

from prefactor_server.api import Limits
from prefactor_server.domain.rate_limit import BURST_SECONDS

PER_SECOND = 2


@pytest.fixture
def limits(limits: Limits) -> Limits:
    """A server that allows a token two requests a second."""
    return replace(limits, requests_per_second=PER_SECOND)


async def exhaust(api_client: Any) -> list[int]:
    """Send a burst, and one more; the statuses."""
    return [(await api_client.get("/ping")).status for _ in range(PER_SECOND * BURST_SECONDS + 1)]


async def test_over_the_rate_a_token_gets_a_429(api_client: Any) -> None:
    """After its burst a token gets 429 with Retry-After, and after that time it is served again."""
    statuses = await exhaust(api_client)
    refused = await api_client.get("/ping")

    assert statuses[:-1] == [200] * (PER_SECOND * BURST_SECONDS)
    assert statuses[-1] == 429
    body = refused.refused(429, "unknown")
    assert "2 requests a second" in body["message"]
    assert refused.headers["Retry-After"] == "1"
    api_client.clock.leap(seconds=int(refused.headers["Retry-After"]))
    assert (await api_client.get("/ping")).status == 200


async def test_a_refused_write_has_no_effect(api_client: Any) -> None:
    """A write refused for its rate has no effect, and its key remains unused."""
    await exhaust(api_client)
    request = {"agent_id": "agent-1", "id": "run-1", "idempotency_key": "key-0001"}
    (await api_client.post("/agent_instance/register", request)).refused(429, "unknown")
    api_client.clock.leap(seconds=60)

    (await api_client.get("/agent_instance/run-1")).refused(404, "not_found")
    assert (await api_client.post("/agent_instance/register", request)).details["id"] == "run-1"


async def test_tokens_have_separate_buckets(api_client: Any) -> None:
    """Each valid token has its own bucket, and a request without one has none."""
    other, _ = await api_client.add_token()
    await exhaust(api_client)

    assert (await api_client.get("/ping", token=other)).status == 200
    assert (await api_client.get("/ping", token="wrong")).status == 401
    assert (await api_client.call("GET", "/openapi")).status == 200
