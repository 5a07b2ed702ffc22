"""The reads of a bulk request: bounded by what they cost and answer together."""

import re
from pathlib import Path
from typing import Any

from bulk_items import RUN, new_item, outputs_of, register_item, span_item

from prefactor_server.api.kernel.operation import LIST_COST, Read
from prefactor_server.api.kernel.reads import MAX_BULK_BYTES, MAX_BULK_COST
from prefactor_server.api.operations import ITEMS

_COSTS = {one.item_type: one.cost for one in ITEMS}
_MEGABYTE = 1024 * 1024
_HALF = {"text": "a" * 500_000}


def _several(kind: str, number: int, **fields: Any) -> list[dict[str, Any]]:
    return [new_item(kind, f"{index:04}", **fields) for index in range(number)]


async def _large_span(api_client: Any, span_id: str) -> None:
    """Create a span with a megabyte of payloads."""
    await api_client.span(RUN, id=span_id, status="complete", payload=_HALF, result_payload=_HALF)


async def test_costly_reads_are_bounded_together(api_client: Any) -> None:
    """A bulk request does costly reads up to its limit, and the rest in further requests."""
    counted = _several("agent_instances/facets", 10)
    items = [register_item(), *counted]
    done = MAX_BULK_COST // _COSTS["agent_instances/facets"]

    outputs = await outputs_of(api_client, *items)

    assert [one["status"] for one in outputs.values()] == ["success"] * (1 + done) + ["error"]
    refused = list(outputs.values())[-1]
    assert (refused["code"], refused["limit_of"]) == ("bad_request", "bulk_read_cost")
    assert refused["limit"] == MAX_BULK_COST
    assert "send this item and those after it in another request" in refused["message"]
    rest = await outputs_of(api_client, *counted[done : 2 * done])
    assert [one["status"] for one in rest.values()] == ["success"] * done


async def test_a_thousand_look_ups_fit_into_one_request(api_client: Any) -> None:
    """Writes cost nothing, and as many reads of one row as a request may have are answered."""
    await api_client.register(RUN)

    shown = await outputs_of(
        api_client, *_several("agent_instances/show", 1000, agent_instance_id=RUN)
    )
    listed = await outputs_of(api_client, *_several("agents/list", MAX_BULK_COST // LIST_COST + 1))

    assert [one["status"] for one in shown.values()] == ["success"] * 1000
    assert [one["status"] for one in listed.values()].count("success") == MAX_BULK_COST // LIST_COST


async def test_what_a_read_asks_for_adds_to_its_cost(api_client: Any) -> None:
    """A search, an order or totals make lists cost more, so fewer of them fit."""
    await api_client.register(RUN)
    answered = {}
    for name, kind, fields in (
        ("plain", "agent_instances/list", {}),
        ("ordered", "agent_instances/list", {"sorting": "-started_at"}),
        ("totals", "agent_instances/list", {"include_totals": True}),
        ("search", "agent_instances/list", {"text": "word"}),
        ("search of agents", "agents/list", {"text": "word"}),
        ("spans", "agent_spans/list", {"agent_id": "agent-1"}),
        (
            "ordered spans",
            "agent_spans/list",
            {"agent_id": "agent-1", "sorting": {"field": "updated_at"}},
        ),
    ):
        outputs = await outputs_of(api_client, *_several(kind, 101, **fields))
        answered[name] = [one["status"] for one in outputs.values()].count("success")

    assert answered == {
        "plain": 100,
        "ordered": 16,
        "totals": 16,
        "search": 9,
        "search of agents": 9,
        "spans": 33,
        "ordered spans": 3,
    }


async def test_counting_the_spans_of_a_run_adds_to_its_cost(api_client: Any) -> None:
    """A run whose spans have to be counted costs more the more spans it has."""
    await api_client.register(RUN)
    for start in range(0, 4000, 1000):
        spans = [span_item(f"{n}", f"span-{n}") for n in range(start, start + 1000)]
        await outputs_of(api_client, *spans)

    outputs = await outputs_of(
        api_client, *_several("agent_instances/show", 1000, agent_instance_id=RUN)
    )

    answered = [one["status"] for one in outputs.values()].count("success")
    assert answered == MAX_BULK_COST // 3 + 1
    assert list(outputs.values())[-1]["limit_of"] == "bulk_read_cost"


async def test_the_answers_of_reads_are_bounded_together(api_client: Any) -> None:
    """After 32 MiB of answers, a bulk request does no further read, but still writes."""
    await api_client.register(RUN)
    await _large_span(api_client, "large")

    reads = _several("agent_spans/show", 40, agent_span_id="large")
    outputs = list((await outputs_of(api_client, *reads)).values())

    assert [one["status"] for one in outputs] == ["success"] * 34 + ["error"]
    assert outputs[-1]["code"] == "bad_request"
    assert (outputs[-1]["limit_of"], outputs[-1]["limit"]) == ("bulk_read_bytes", MAX_BULK_BYTES)
    assert "in another request" in outputs[-1]["message"]
    mixed = await outputs_of(api_client, *reads[:34], span_item("after", "span-after"))
    assert mixed["key-after"]["status"] == "success"


async def test_a_page_has_a_limited_size(api_client: Any) -> None:
    """Spans whose payloads have more than 64 MiB are not read together, and smaller pages work."""
    await api_client.register(RUN)
    ids = [f"span-{number:02}" for number in range(70)]
    for span_id in ids:
        await api_client.span(
            RUN, id=span_id, status="complete", payload=_HALF, result_payload=_HALF
        )

    for query in (
        {"agent_instance_id": RUN, "pagination[page_size]": "100"},
        {"ids": ",".join(ids)},
    ):
        refused = (await api_client.get("/agent_spans", query)).refused(413, "bad_request")
        assert (refused["limit_of"], refused["limit"]) == ("page_bytes", 64 * _MEGABYTE)
        assert "smaller pagination[page_size] or fewer ids" in refused["message"]
    page = await api_client.get(
        "/agent_spans", {"agent_instance_id": RUN, "pagination[page_size]": "10"}
    )
    assert [one["id"] for one in page.summaries] == ids[:10]
    context = await api_client.get(f"/agent_instance/{RUN}/agent_context")
    assert context.refused(413, "bad_request")["limit_of"] == "export_bytes"


def test_every_list_costs_more_than_a_look_up() -> None:
    """No operation with pages costs as little as one that reads a row."""
    lists = [
        one
        for one in ITEMS
        if isinstance(one, Read)
        and any(parameter.name == "pagination[page_size]" for parameter in one.parameters)
    ]

    assert len(lists) > 10
    assert [one.name for one in lists if one.cost < LIST_COST] == []


def test_the_documented_costs_are_the_costs() -> None:
    """The reference names the cost of every read that costs more than a list."""
    page = Path(__file__).parents[4] / "docs" / "reference" / "api.md"
    rows = re.findall(r"^\| `([a-z_/]+)` \| (\d+) \|", page.read_text(), re.MULTILINE)

    costly = {name: cost for name, cost in _COSTS.items() if cost > LIST_COST}
    assert {name: int(cost) for name, cost in rows} == costly
