"""What reaches the server of a path, a query and a key that the caller chose."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from client_fixture import PING
from prefactor_http import PrefactorHttpClient, PrefactorRequestError
from prefactor_http.testing import ScriptedServer

REGISTER = "/api/v1/agent_instance/register"
MANY = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@pytest.mark.parametrize(
    "path", ["x", ".example.org/x", "@example.org/x", "80/x", "\\x", None, b"/x"]
)
async def test_a_path_cannot_change_the_host(
    client: PrefactorHttpClient, server: ScriptedServer, path: Any
) -> None:
    """A path without a leading slash, which would continue the host, is refused unsent."""
    with pytest.raises(PrefactorRequestError, match="path must begin with a slash"):
        await client.request("GET", path)
    with pytest.raises(PrefactorRequestError, match="path must begin with a slash"):
        [piece async for piece in client.download(path)]
    assert not server.requests


@MANY
@given(text=st.text(st.characters(exclude_categories=()), max_size=8))
async def test_a_filter_arrives_unchanged_or_not_at_all(
    client: PrefactorHttpClient, server: ScriptedServer, text: str
) -> None:
    """No text is sent as a different one, which would filter by something else."""
    server.requests.clear()
    call = client.request("GET", PING, params={"external_identifier": text})
    if any("\ud800" <= character <= "\udfff" for character in text):
        with pytest.raises(PrefactorRequestError, match=r"^params\.external_identifier cannot be"):
            await call
        assert not server.requests
    else:
        await call
        assert server.requests[0].query["external_identifier"] == text


@MANY
@example(key="\xe0")  # its last byte in UTF-8 is a space in Latin-1
@given(key=st.text(st.characters(max_codepoint=0x3FF, exclude_categories=()), min_size=1))
async def test_a_key_arrives_unchanged_or_not_at_all(
    client: PrefactorHttpClient, server: ScriptedServer, key: str
) -> None:
    """A key that a header would lose or change is refused: the write might be done twice."""
    server.requests.clear()
    call = client.request("POST", REGISTER, json_data={"agent_id": "a"}, idempotency_key=key)
    if key.isprintable() and key == key.strip():
        await call
        # The fake server reads headers as Latin-1.
        assert server.requests[0].headers["idempotency-key"].encode("latin-1").decode() == key
    else:
        with pytest.raises(PrefactorRequestError, match=r"^Idempotency key must"):
            await call
        assert not server.requests


@pytest.mark.parametrize("key", [" a", "a ", "\u2003a", " "])
async def test_a_key_with_surrounding_spaces_is_refused(
    client: PrefactorHttpClient, server: ScriptedServer, key: str
) -> None:
    """Headers lose such spaces, so the key in the body would be another one."""
    with pytest.raises(PrefactorRequestError, match="Idempotency key must"):
        await client.agent_instances.register("a", idempotency_key=key)
    with pytest.raises(PrefactorRequestError, match="Idempotency key must"):
        await client.request("POST", PING, idempotency_key=key)
    assert not server.requests
