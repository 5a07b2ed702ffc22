"""Functions are traced, and the server checks their spans against their schemas."""

import dataclasses
import enum
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal, TypedDict

import pytest
from pydantic import BaseModel

from live_server import LiveServer
from prefactor_http import AgentSpan, HttpClientConfig, PrefactorHttpClient
from prefactor_recorder import Recorder, SpanTypes

types = SpanTypes()


class Size(enum.Enum):
    """The size of a cup."""

    SMALL = "s"
    LARGE = "l"


@dataclasses.dataclass
class Order:
    """An order."""

    item: str
    size: Size = Size.SMALL
    extras: "list[Order]" = dataclasses.field(default_factory=list)


class Receipt(BaseModel):
    """A receipt."""

    number: int
    note: str | None = None


class Stock(TypedDict, total=False):
    """The stock."""

    tea: int


@types.trace("shop:buy", template="{{ order.item }}: no. {{ number }}")
def buy(order: Order, *, paid: float = 0.0, how: Literal["cash", "card"] = "cash") -> Receipt:
    """Buy something."""
    if order.item != "tea":
        raise LookupError(order.item)
    return Receipt(number=len(order.extras) + int(paid) + len(how))


@types.trace("shop:stock")
async def stock(*items: str, **limits: int) -> Stock:
    """Return the stock."""
    return {"tea": len(items) + len(limits)}


@types.trace("agent:tool")
def count(limit: int) -> Iterator[int]:
    """Count."""
    yield from range(limit)


@types.trace("agent:tool")
async def spell(word: str) -> AsyncIterator[str]:
    """Spell a word."""
    for letter in word:
        yield letter


@pytest.fixture
async def spans(live_server: LiveServer, tmp_path: Path) -> list[AgentSpan]:
    """The spans of one run of all of these, as the server has them."""
    recorder = Recorder(
        live_server.url,
        live_server.token,
        agent_id="traced-agent",
        spool_dir=tmp_path,
        span_types=[types],
    )
    async with recorder:
        async with recorder.run(version="1") as run:
            buy(Order("tea", Size.LARGE, [Order("milk")]), paid=2.5, how="card")
            with pytest.raises(LookupError):
                buy(Order("coffee"))
            await stock("tea", most=3)
            assert list(count(3)) == [0, 1, 2]
            assert [letter async for letter in spell("tea")] == ["t", "e", "a"]
        assert await recorder.aflush(30) == 0
    config = HttpClientConfig(live_server.url, live_server.token)
    async with PrefactorHttpClient(config) as client:
        found = client.agent_spans.iterate(agent_instance_id=run.id, include_summaries=True)
        return [span async for span in found]


async def test_traced_spans_match_their_declarations(spans: list[AgentSpan]) -> None:
    """Payloads and results of every kind of function match their schemas, for failed ones too."""
    problems = [
        (span.schema_name, check)
        for span in spans
        for check in (span.payload_validation, span.result_payload_validation)
        if check is None or check["status"] != "success"
    ]

    assert len(spans) == 5
    assert problems == []


async def test_traced_spans_have_summaries(spans: list[AgentSpan]) -> None:
    """Templates see arguments and results; tools that share a type have their names."""
    summaries = {span.summary for span in spans if span.schema_name == "shop:buy"}
    tools = {span.payload["tool_name"] for span in spans if span.schema_name == "agent:tool"}

    assert summaries == {"tea: no. 7", "coffee: no."}
    assert tools == {"count", "spell"}
    assert sorted(span.status for span in spans) == ["complete"] * 4 + ["failed"]
