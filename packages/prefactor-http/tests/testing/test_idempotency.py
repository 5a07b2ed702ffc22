"""Idempotency of the scripted server follows the rules of the API."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from prefactor_http.testing import ScriptedServer

from .conftest import Api

KEY = "key-12345"


def create(instance: str, place: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return body and headers of a span create with its key in one of the three places."""
    details: dict[str, Any] = {"agent_instance_id": instance, "schema_name": "s"}
    body: dict[str, Any] = {"details": details}
    if place == "header":
        return body, {"Idempotency-Key": KEY}
    (details if place == "details" else body)["idempotency_key"] = KEY
    return body, {}


@pytest.mark.parametrize("place", ["header", "body", "details"])
@pytest.mark.parametrize("again", ["header", "body", "details"])
async def test_a_repeat_is_replayed(
    server: ScriptedServer, api: Api, place: str, again: str
) -> None:
    """The same write with the same key is applied once, wherever the key is."""
    instance = server.add_instance()

    body, headers = create(instance, place)
    _, first = await api.post("agent_spans", body, **headers)
    body, headers = create(instance, again)
    _, second = await api.post("agent_spans", body, **headers)

    assert first == second
    assert len(server.spans) == 1
    assert (server.applied, server.replayed) == ({KEY: 1}, {KEY: 1})


async def test_a_replay_says_so(server: ScriptedServer, api: Api) -> None:
    """A replayed reply has a header that says so, and the current control signal."""
    instance = server.add_instance()
    body, _ = create(instance, "body")
    await api.post("agent_spans", body)
    server.terminate(instance, "stop")

    async with api.session.post("/api/v1/agent_spans", json=body) as response:
        replay = await response.json()

    assert response.headers["Idempotent-Replayed"] == "true"
    assert replay["details"]["status"] == "active"
    assert replay["control"]["terminate"] is True


async def test_a_key_belongs_to_one_request(server: ScriptedServer, api: Api) -> None:
    """A key repeated with another body is refused; another operation may use it."""
    id_ = server.add_instance(status="pending")
    await api.post(f"agent_instance/{id_}/start", {"idempotency_key": KEY, "timestamp": None})

    status, body = await api.post(
        f"agent_instance/{id_}/start",
        {"idempotency_key": KEY, "timestamp": "2026-01-01T00:00:00Z"},
    )
    other, _ = await api.post(f"agent_instance/{id_}/finish", {"idempotency_key": KEY})

    assert (status, body["code"]) == (409, "idempotency_key_already_used")
    assert other == 200


async def test_a_refusal_leaves_the_key_free(server: ScriptedServer, api: Api) -> None:
    """A refused write does not use up its key."""
    body, _ = create("later", "body")
    refused, _ = await api.post("agent_spans", body)
    body["details"]["agent_instance_id"] = server.add_instance()

    assert (refused, (await api.post("agent_spans", body))[0]) == (404, 200)


@pytest.mark.parametrize("key", ["", "x" * 129, 7])
async def test_wrong_keys_are_refused(server: ScriptedServer, api: Api, key: object) -> None:
    """A key of another type or length is a field error; an empty key counts as no key."""
    id_ = server.add_instance(status="pending")

    status, _ = await api.post(f"agent_instance/{id_}/start", {"idempotency_key": key})

    assert status == (422 if key else 200)


async def test_two_different_keys_are_a_bad_request(server: ScriptedServer, api: Api) -> None:
    """A header and a body that name different keys are refused."""
    body, headers = create(server.add_instance(), "header")

    status, refusal = await api.post(
        "agent_spans", {**body, "idempotency_key": "another-key"}, **headers
    )

    assert (status, refusal["code"]) == (400, "bad_request")


async def test_without_idempotency_every_repeat_counts() -> None:
    """A server with `idempotent=False` applies each repeat, so that tests can count them."""
    async with ScriptedServer(idempotent=False) as server:
        headers = {"authorization": f"Bearer {server.token}"}
        body, _ = create(server.add_instance(), "body")
        async with aiohttp.ClientSession(server.url, headers=headers) as session:
            for _ in range(3):
                await Api(session).post("agent_spans", body)

        assert server.applied == {KEY: 3}
        assert len(server.spans) == 3
