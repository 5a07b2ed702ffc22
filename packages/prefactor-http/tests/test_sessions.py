"""One client in several event loops, and copies of it."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from typing import TYPE_CHECKING

import pytest

from client_fixture import PING
from patience import patience
from prefactor_http import PrefactorHttpClient, PrefactorNetworkError, RequestOptions
from prefactor_http.testing import Delay, ScriptedServer, Stall

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS, CALLS = 4, 50


def in_threads(program: Callable[[], None], count: int) -> list[BaseException]:
    """Run a program in several threads at once, and return what they raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            program()
        except BaseException as error:  # noqa: BLE001 - the caller looks at it
            raised.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patience(60))
    return raised


def test_loops_in_several_threads_share_a_client() -> None:
    """Calls in the loops of four threads all succeed, on one connection for each loop."""
    with ScriptedServer() as server:
        client = PrefactorHttpClient(server.config(max_retries=0))

        async def calls() -> None:
            for _ in range(CALLS):
                await client.request("GET", PING)

        raised = in_threads(lambda: asyncio.run(calls()), THREADS)

        assert raised == []
        assert len(server.requests) == THREADS * CALLS
        assert server.connections == THREADS


def test_a_call_survives_a_call_of_another_loop() -> None:
    """A write without a key, which nothing may repeat, is answered while another loop calls."""
    with ScriptedServer() as server:
        client = PrefactorHttpClient(server.config(max_retries=0))
        server.script(Delay(0.3))

        async def write() -> None:
            body = {"agent_id": "a"}
            await client.request("POST", "/api/v1/agent_instance/register", json_data=body)

        writer = threading.Thread(target=lambda: raised.extend(in_threads(run_write, 1)))
        raised: list[BaseException] = []

        def run_write() -> None:
            asyncio.run(write())

        writer.start()
        while not server.requests:
            pass
        asyncio.run(client.validate_token())
        writer.join(patience(60))

        assert raised == []
        assert len(server.instances) == 1


def test_closing_ends_the_calls_of_other_loops() -> None:
    """`close` in one loop ends a call in another at once, and no session is left open."""
    with ScriptedServer() as server:
        client = PrefactorHttpClient(server.config())
        server.script(Stall(300))
        patient = RequestOptions(request_timeout=patience(200))

        def call() -> None:
            asyncio.run(client.request("GET", PING, options=patient))

        raised: list[BaseException] = []
        caller = threading.Thread(target=lambda: raised.extend(in_threads(call, 1)))
        caller.start()
        while not server.requests:
            pass
        asyncio.run(client.close())
        caller.join(patience(60))

    assert [type(error) for error in raised if not isinstance(error, PrefactorNetworkError)] == []
    assert len(raised) == 1


def pickled(client: PrefactorHttpClient) -> PrefactorHttpClient:
    """Return a client that has been pickled."""
    twin: PrefactorHttpClient = pickle.loads(pickle.dumps(client))  # noqa: S301 - made here
    return twin


@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled])
async def test_a_copy_has_its_own_session(
    server: ScriptedServer, duplicate: Callable[[PrefactorHttpClient], PrefactorHttpClient]
) -> None:
    """A copied or pickled client works beside the original, whose open session it leaves alone."""
    async with PrefactorHttpClient(server.config()) as client:
        await client.validate_token()
        async with duplicate(client) as twin:
            await twin.validate_token()
        await client.validate_token()

    assert server.connections == 2


async def test_the_session_can_be_read_without_a_loop(server: ScriptedServer) -> None:
    """`_session`, which tests of applications read, needs no running loop."""
    client = PrefactorHttpClient(server.config())
    before = await asyncio.to_thread(lambda: client._session)
    await client.validate_token()
    after = await asyncio.to_thread(lambda: client._session)
    await client.close()

    assert before is None
    assert after is not None
    assert after.closed
