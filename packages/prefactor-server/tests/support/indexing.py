"""Advances the search index by hand, and shows what it contains."""

from typing import Any

from postgres_database import do
from rows import NOW, create_span, payload, register, start
from tally import catch_up

from prefactor_server.domain.runs.agent_span import PARAMS
from prefactor_server.domain.runs.cost import NO_PRICES, PriceTable
from prefactor_server.domain.search.words import scope_word, terms_of
from prefactor_server.follower import CommitSignal, Follower
from prefactor_server.follower.consumers import consumers


def follower_of_all(
    storage: Any, holder: str = "test", now: int = 1, prices: PriceTable = NO_PRICES
) -> Follower:
    """A follower with every consumer that a server has."""
    clock = iter(range(now, now + 10**12, 1000))
    return Follower(
        storage.feed,
        consumers(storage, prices, lambda: NOW),
        CommitSignal(),
        holder=holder,
        now_us=lambda: next(clock),
    )


async def index(storage: Any, now: int = 1) -> None:
    """Let the index process all commits."""
    await catch_up(follower_of_all(storage, now=now))


async def spans_with(storage: Any, account_id: str, query: str) -> list[str]:
    """The spans that the index finds, one of each run, in the order of ids."""
    scopes = [scope_word("account", account_id)]
    matches = await storage.search.find(account_id, terms_of(query), scopes)
    return sorted(match.span_id for match in matches.found)


async def record(storage: Any, runs: int, first: int = 0) -> list[str]:
    """Record runs with one span of text each; return the ids of the spans."""
    ids = list[str]()
    for number in range(first, first + runs):
        run = await do(storage, register(f"run-{number}"))
        await do(storage, start(run.id))
        span = f"span-{number}"
        said = payload(span, PARAMS, b'{"said":"apple %d"}' % number)
        await do(storage, create_span(span, run, payloads=(said,)))
        ids.append(span)
    return sorted(ids)
