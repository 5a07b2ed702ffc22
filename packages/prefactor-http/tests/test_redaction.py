"""The token never appears in text, in any spelling."""

from __future__ import annotations

import asyncio
import gc
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_fixture import PING
from prefactor_http import HttpClientConfig, PrefactorHttpClient, PrefactorHttpError
from prefactor_http._redaction import MASK, MAX_EARLIER, Redactor, mask_userinfo
from prefactor_http.testing import Reply, ScriptedServer

TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=80)


@given(TOKENS, st.text(), st.text())
def test_no_spelling_survives(token: str, before: str, after: str) -> None:
    """The token is removed plain, inside JSON and in a URL, and the rest stays."""
    redactor = Redactor(token)
    escaped = json.dumps(token)[1:-1]
    for spelling in (token, escaped, escaped.replace("/", "\\/"), quote(token, safe="")):
        shown = redactor.text(f"{before}{spelling}{after}")
        assert token not in shown.replace(MASK, "")
        assert MASK in shown


def test_nested_values_are_redacted() -> None:
    """Keys, list items and nested objects lose the token, and other values stay."""
    redactor = Redactor("secret-token")
    assert redactor.value({"a secret-token": ["x", {"y": "secret-token"}], "n": [1, None]}) == {
        f"a {MASK}": ["x", {"y": MASK}],
        "n": [1, None],
    }
    assert redactor.contains_secret("… secret-token …")
    assert "secret-token" not in repr(redactor)


def test_a_word_is_not_a_secret() -> None:
    """A token as common as `test` is not removed from messages about tests."""
    assert Redactor("test").text("this is a test") == "this is a test"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/base", "https://h/base"),
        ("https://me:pw@h:1/base", "https://***@h:1/base"),
        ("http://[broken", "http://[broken"),
    ],
)
def test_credentials_in_urls_are_masked(url: str, shown: str) -> None:
    """A password inside a URL is not printed with it."""
    assert mask_userinfo(url) == shown


async def test_a_new_token_is_never_shown(server: ScriptedServer) -> None:
    """A token that is set later is masked as well, and so is the earlier one."""
    first, second = "tok-5f0c1a9b2d", "tok-77aa88bb99"
    config = server.config(api_token=first, max_retries=0)
    async with PrefactorHttpClient(config) as client:
        config.api_token = second
        server.script(Reply(422, {"code": first, "message": f"you sent Bearer {second}"}))
        with pytest.raises(PrefactorHttpError) as info:
            await client.with_options(max_retries=0).request("GET", PING)
    shown = f"{info.value} {vars(info.value)!r}"
    assert "[redacted]" in shown
    assert first not in shown
    assert second not in shown


async def test_secrets_in_extra_headers_are_never_shown(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A token or cookie among a call's own headers is masked like the client's token."""
    token, cookie = "tok-5f0c1a9b2d", "cookie-77aa88bb"
    headers = {"authorization": f"Bearer {token}", "Cookie": f"a={cookie}"}
    server.script(Reply(422, {"code": token, "message": f"you sent {cookie}"}))
    with pytest.raises(PrefactorHttpError) as info:
        await client.with_options(headers=headers).request("GET", PING)
    shown = f"{info.value} {vars(info.value)!r}"
    assert "[redacted]" in shown
    assert token not in shown
    assert cookie not in shown


class _Echo:
    """A session whose calls fail once all of them are in flight, with the token in the text."""

    closed = False

    def __init__(self, calls: int) -> None:
        self._all = asyncio.Barrier(calls)

    @asynccontextmanager
    async def request(self, **arguments: Any) -> AsyncGenerator[Any]:
        header = arguments["headers"]["Authorization"]
        await self._all.wait()
        if header[-1] in "02468":
            raise aiohttp.ClientError(f"cannot send {header}")
        body = json.dumps({"code": header, "message": f"you sent {header}"})
        yield SimpleNamespace(
            status=422, headers={"x-request-id": header}, text=lambda: _text(body)
        )


async def _text(body: str) -> str:
    return body


@pytest.mark.parametrize("by", ["header", "configuration", "session"])
async def test_all_secrets_in_flight_are_masked(by: str) -> None:
    """However many calls are in flight, the token of each is masked, and none is kept."""
    calls = 200
    config = HttpClientConfig("http://127.0.0.1:9", "tok-of-the-client", max_retries=0)
    client = PrefactorHttpClient(config, session=cast("Any", _Echo(calls)))

    async def shown(number: int) -> str:
        token = f"tok-{number:06d}"
        sender = client
        if by == "configuration":
            config.api_token = token
        else:
            sender = client.with_options(headers={"Authorization": f"Bearer {token}"})
        if by == "session":
            sender = sender.with_session("prefactor_session=cookie-5f0c1a9b2d")
        with pytest.raises(PrefactorHttpError) as info:
            await sender.request("GET", PING)
        assert MASK in str(info.value)
        return f"{info.value} {vars(info.value)!r} {info.value.__cause__!r}"

    texts = await asyncio.gather(*map(shown, range(calls)))

    assert [text for text in texts if re.search(r"tok-\d{6}", text)] == []
    gc.collect()
    held = [len(each._later) for each in gc.get_objects() if type(each) is Redactor]
    assert max(held) <= MAX_EARLIER + 1


def test_an_unencodable_token_is_rejected() -> None:
    """A token with an unpaired surrogate gets an error that names it, before anything is sent."""
    with pytest.raises(PrefactorHttpError, match="api_token"):
        PrefactorHttpClient(HttpClientConfig("http://127.0.0.1", "token-5f0c1a9b2d-\ud800"))
