"""Several servers on one PostgreSQL database act as one."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from live_server import LiveServer
from postgres_server import PostgresServer
from prefactor_http import (
    BulkItem,
    BulkRequest,
    HttpClientConfig,
    PrefactorAuthError,
    PrefactorHttpClient,
    PrefactorHttpError,
)


@pytest.fixture
def replicas(
    tmp_path: Path,
    serve: Callable[..., LiveServer],
    postgres: PostgresServer,
    request: pytest.FixtureRequest,
) -> tuple[LiveServer, LiveServer]:
    """Two servers on one new database."""
    name = "replicas_" + "".join(c if c.isalnum() else "_" for c in request.node.name)[:40].lower()
    url = postgres.create_database(name)
    flags = ("--token-cache-seconds", "0")
    return (
        serve(tmp_path / "first", *flags, database=url),
        serve(tmp_path / "second", *flags, database=url),
    )


def client_of(server: LiveServer, **options: int) -> PrefactorHttpClient:
    """A client of one of them."""
    return PrefactorHttpClient(HttpClientConfig(server.url, server.token, **options))


def spans_request(run_id: str, number: int, size: int = 10) -> BulkRequest:
    """A bulk request of spans, with keys that depend on its number alone."""
    return BulkRequest(
        items=[
            BulkItem(
                _type="agent_spans/create",
                idempotency_key=f"{run_id}-{number}-{step}",
                agent_instance_id=run_id,
                schema_name="load",
                status="complete",
                payload={"mark": f"{number}-{step}"},
            )
            for step in range(size)
        ]
    )


async def stored(client: PrefactorHttpClient, run_id: str) -> Counter[str]:
    """Return how often each span is stored."""
    return Counter(
        [
            span.payload["mark"]
            async for span in client.agent_spans.iterate(agent_instance_id=run_id, page_size=100)
        ]
    )


async def test_a_run_can_be_written_through_both_servers(
    replicas: tuple[LiveServer, LiveServer],
) -> None:
    """A run written alternately through two servers is one run on both."""
    async with client_of(replicas[0]) as first, client_of(replicas[1]) as second:
        run = await first.agent_instances.register("agent", {}, {})
        await second.agent_instances.start(run.id)
        for number in range(20):
            writer, reader = (first, second) if number % 2 else (second, first)
            span = await writer.agent_spans.create(run.id, "step", "active", {"number": number})
            done = await reader.agent_spans.finish(span.id, result_payload={"number": number})
            assert (done.status, done.payload) == ("complete", {"number": number})
        seen = [await each.agent_instances.get(run.id) for each in (first, second)]
        assert seen[0] == seen[1]
        assert seen[0].span_counts is not None
        assert (seen[0].span_counts.total, seen[0].span_counts.complete) == (20, 20)


async def test_the_same_request_at_two_servers_at_once_has_one_effect(
    replicas: tuple[LiveServer, LiveServer],
) -> None:
    """Two servers that get the same keys for the same run at once give the same answer."""
    async with client_of(replicas[0]) as first, client_of(replicas[1]) as second:
        for number in range(15):
            registered = await asyncio.gather(
                *(
                    each.agent_instances.register(
                        f"agent-{number}", {}, {}, idempotency_key=f"register-{number}"
                    )
                    for each in (first, second)
                )
            )
            assert registered[0].id == registered[1].id
            run_id = registered[0].id
            request = spans_request(run_id, number)
            answers = await asyncio.gather(
                first.bulk.execute(request), second.bulk.execute(request)
            )
            ids = [
                {key: output.details["id"] for key, output in answer.outputs.items()}
                for answer in answers
            ]
            assert ids[0] == ids[1]
            assert set((await stored(first, run_id)).values()) == {1}
            run = await second.agent_instances.get(run_id)
            assert run.span_counts is not None
            assert run.span_counts.total == 10


async def test_a_killed_server_is_replaced_by_the_other(
    replicas: tuple[LiveServer, LiveServer],
) -> None:
    """Requests that a killed server left unanswered are repeated at the other, once each."""
    async with (
        client_of(replicas[0], max_retries=0) as doomed,
        client_of(replicas[1]) as other,
    ):
        run = await other.agent_instances.register("agent", {}, {})
        answered: set[int] = set()
        sent: list[int] = []

        async def send() -> None:
            while len(sent) < 200:
                number = len(sent)
                sent.append(number)
                try:
                    await doomed.bulk.execute(spans_request(run.id, number))
                except PrefactorHttpError:
                    return
                answered.add(number)
                if len(answered) == 12:
                    replicas[0].process.kill()

        await asyncio.gather(*(send() for _ in range(4)))
        assert len(answered) < len(sent)
        there = await stored(other, run.id)
        assert all(there[f"{number}-{step}"] == 1 for number in answered for step in range(10))
        for number in sent:
            await other.bulk.execute(spans_request(run.id, number))
        assert await stored(other, run.id) == Counter(
            f"{number}-{step}" for number in sent for step in range(10)
        )


async def test_a_revoked_token_works_at_no_server(
    replicas: tuple[LiveServer, LiveServer],
) -> None:
    """A token that is revoked at one server is refused by the other."""
    async with client_of(replicas[0]) as first:
        made = await first.api_tokens.create(token_scope="account")
        config = HttpClientConfig(replicas[1].url, made.token)
        async with PrefactorHttpClient(config) as guest:
            await guest.validate_token()
            await first.api_tokens.revoke(made.id)
            with pytest.raises(PrefactorAuthError):
                await guest.validate_token()
