"""Acknowledged writes survive kill -9, and unacknowledged ones can be repeated safely."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from live_server import LiveServer
from prefactor_http import (
    BulkItem,
    BulkRequest,
    BulkResponse,
    HttpClientConfig,
    PrefactorHttpClient,
    PrefactorHttpError,
)

ROUNDS = 20
CLIENTS = 4
SPANS_PER_REQUEST = 12


@dataclass
class Ledger:
    """The requests that a client sent in one round, and their answers."""

    run_id: str
    sent: dict[int, BulkRequest] = field(default_factory=dict)
    answered: dict[int, BulkResponse] = field(default_factory=dict)

    def next_request(self) -> int:
        """Write down the next request before it is sent: spans numbered after the last."""
        number = len(self.sent)
        items: list[BulkItem] = []
        for step in range(SPANS_PER_REQUEST):
            mark = number * SPANS_PER_REQUEST + step
            items.append(
                BulkItem(
                    _type="agent_spans/create",
                    idempotency_key=f"{self.run_id}-create-{mark}",
                    agent_instance_id=self.run_id,
                    schema_name="load",
                    status="complete" if step % 2 else "active",
                    payload={"mark": mark, "text": "something to write " * 20},
                )
            )
        self.sent[number] = BulkRequest(items=items)
        return number


def config_of(server: LiveServer) -> HttpClientConfig:
    """A client that reports the first failure, because the test itself repeats."""
    return HttpClientConfig(server.url, server.token, max_retries=0)


async def load_until_killed(server: LiveServer, ledger: Ledger, kill_after: int) -> None:
    """Send bulk requests from several tasks; kill the server between two of them."""

    async def send(client: PrefactorHttpClient) -> None:
        while True:
            number = ledger.next_request()
            try:
                ledger.answered[number] = await client.bulk.execute(ledger.sent[number])
            except PrefactorHttpError:
                return
            if len(ledger.answered) == kill_after:
                server.process.kill()

    async with PrefactorHttpClient(config_of(server)) as client:
        await asyncio.gather(*(send(client) for _ in range(CLIENTS)))
    server.kill()


async def repeat_everything(server: LiveServer, ledger: Ledger) -> None:
    """Send all requests again under their keys; repeated answers must be equal."""
    async with PrefactorHttpClient(config_of(server)) as client:
        for number, request in ledger.sent.items():
            again = await client.bulk.execute(request)
            assert {output.status for output in again.outputs.values()} == {"success"}, again
            if number in ledger.answered:
                assert ids_in(again) == ids_in(ledger.answered[number])


def ids_in(response: BulkResponse) -> dict[str, str]:
    """The id of each span, by idempotency key."""
    return {key: output.details["id"] for key, output in response.outputs.items()}


async def check_stored(server: LiveServer, ledger: Ledger) -> None:
    """Check that every sent span is stored once and counted."""
    expected = Counter(range(len(ledger.sent) * SPANS_PER_REQUEST))
    async with PrefactorHttpClient(config_of(server)) as client:
        stored: Counter[int] = Counter()
        async for span in client.agent_spans.iterate(
            agent_instance_id=ledger.run_id, page_size=100
        ):
            stored[span.payload["mark"]] += 1
        run = await client.agent_instances.get(ledger.run_id)
    assert stored == expected
    assert run.span_counts is not None
    assert run.span_counts.total == sum(expected.values())
    assert run.span_counts.complete == run.span_counts.active == run.span_counts.total // 2


async def test_kill_9_loses_and_duplicates_nothing(
    tmp_path: Path, serve: Callable[..., LiveServer], database: str
) -> None:
    """Twenty times in a row, kill -9 during a bulk load loses and duplicates nothing."""
    chance = random.Random(20)
    server = serve(tmp_path, database=database)
    for number in range(ROUNDS):
        async with PrefactorHttpClient(config_of(server)) as client:
            run = await client.agent_instances.register("crash-agent", {}, {}, id=f"round-{number}")
            await client.agent_instances.start(run.id)
        ledger = Ledger(run.id)
        await load_until_killed(server, ledger, kill_after=chance.randint(1, 30))
        assert len(ledger.answered) < len(ledger.sent), "nothing was under way at the kill"

        server = serve(tmp_path, database=database)
        await repeat_everything(server, ledger)
        await check_stored(server, ledger)
