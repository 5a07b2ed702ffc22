"""A run's skeleton in one answer."""

import asyncio
import os
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import msgspec
import pytest
from api_client import LIMITS, listening

from prefactor_server.api import create_api
from prefactor_server.api.endpoints.runs.agent_instance_skeleton import AgentInstanceSkeleton
from prefactor_server.api.views.base import Success
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_instance_skeleton import Columns, Skeleton
from prefactor_server.domain.runs.cost import Price, PriceTable
from prefactor_server.queries import Reader
from prefactor_server.queries.runs.agent_instance_skeleton import AgentInstanceSkeletonQueries

DAY = "2026-01-02T00:00:"


async def skeleton(api_client: Any, run: Any, **more: Any) -> Any:
    """Return a run's skeleton, after checking it against its model."""
    plain = {"Accept-Encoding": "identity"}
    answer = await api_client.get(f"/agent_instance/{run['id']}/skeleton", headers=plain, **more)
    assert answer.status == 200, answer.text
    assert answer.headers["Content-Length"] == str(len(answer.text.encode()))
    decoded = msgspec.json.decode(answer.text, type=Success[AgentInstanceSkeleton])
    assert msgspec.to_builtins(decoded) == answer.body
    return answer.details


async def test_a_skeleton_shows_every_span_in_the_order_of_the_tree(api_client: Any) -> None:
    """Each span is an entry in each column, as its own operation shows it, without payloads."""
    types = [
        {
            "name": "step",
            "title": "A step",
            "params_schema": {"type": "object"},
            "template": "{{ n }} ❄",
        }
    ]
    run = await api_client.register(agent_schema_version={"span_type_schemas": types})
    await api_client.post(f"/agent_instance/{run['id']}/start", {"timestamp": DAY + "00Z"})
    root = await api_client.span(
        run,
        started_at=DAY + "01Z",
        finished_at=DAY + "09.5Z",
        status="complete",
        payload={"n": 'a "secret"'},
    )
    late = await api_client.span(run, parent_span_id=root["id"], started_at=DAY + "03Z")
    below = await api_client.span(run, parent_span_id=late["id"], started_at=DAY + "04Z")
    early = await api_client.span(
        run, parent_span_id=root["id"], started_at=DAY + "02Z", schema_name="other"
    )
    never = await api_client.span(run, status="pending")

    found = await skeleton(api_client, run)

    spans = [root, early, late, below, never]
    assert found == {
        "type": "agent_instance_skeleton",
        "agent_instance_id": run["id"],
        "total": 5,
        "origin": DAY + "00.000000Z",
        "schemas": [{"name": "step", "title": "A step"}, {"name": "other", "title": "other"}],
        "flag_values": {
            "closed_by_termination": 1,
            "schema_unregistered": 2,
            "finished_before_started": 4,
            "sensitive_encoding": 8,
            "parent_missing": 16,
            "sensitive_discarded": 32,
            "finished_late": 64,
        },
        "tool_names": [],
        "models": [],
        "currency": None,
        "columns": {
            "id": [one["id"] for one in spans],
            "parent": [None, 0, 0, 2, None],
            "schema": [0, 1, 0, 0, 0],
            "status": [one["status"] for one in spans],
            "started_at": [1_000_000, 2_000_000, 3_000_000, 4_000_000, None],
            "duration": [8_500_000, None, None, None, None],
            "summary": [one["summary"] for one in spans],
            "flags": [0, 2, 0, 0, 0],
            "kind": ["other"] * 5,
            "tool_name": [None] * 5,
            "model": [None] * 5,
            "total_tokens": [None] * 5,
            "cost": [None] * 5,
        },
    }
    assert found["columns"]["summary"][0] == 'a "secret" ❄'


@pytest.mark.parametrize(
    "prices",
    [PriceTable("USD", (Price("large*", Decimal(1), Decimal(2)),))],
    ids=["priced"],
)
async def test_a_skeleton_shows_models_tools_and_cost(api_client: Any) -> None:
    """Each span has its kind, tool, model, tokens and cost in columns; each name is sent once."""
    run = await api_client.run()
    usage = {"prompt_tokens": 1000, "completion_tokens": 500}
    for number, (schema_name, payload) in enumerate(
        [
            ("agent:llm", {"model": "large-1", "usage": usage}),
            ("agent:tool", {"tool_name": "search", "q": "x"}),
            ("step", {"model": "unpriced", "usage": {**usage, "total_tokens": 7}}),
            ("agent:llm", {"model": "large-1", "usage": {"total_tokens": 9}}),
        ]
    ):
        await api_client.span(
            run, schema_name=schema_name, payload=payload, started_at=f"{DAY}{number:02}Z"
        )

    found = await skeleton(api_client, run)

    assert (found["tool_names"], found["models"]) == (["search"], ["large-1", "unpriced"])
    assert found["currency"] == "USD"
    columns = found["columns"]
    assert columns["kind"] == ["llm", "tool", "llm", "llm"]
    assert columns["tool_name"] == [None, 0, None, None]
    assert columns["model"] == [0, None, 1, 0]
    assert columns["total_tokens"] == [1500, None, 7, 9]
    assert columns["cost"] == [0.002, None, None, None]


async def test_orphans_and_cycles_are_roots(api_client: Any) -> None:
    """Spans with an unknown parent, one of another run, or in a cycle are roots, and flagged."""
    run, other = await api_client.run(), await api_client.run()
    elsewhere = await api_client.span(other, id="elsewhere")
    await api_client.span(run, id="orphan", parent_span_id="nobody", started_at=DAY + "01Z")
    await api_client.span(run, id="stray", parent_span_id=elsewhere["id"], started_at=DAY + "02Z")
    await api_client.span(run, id="one", parent_span_id="two", started_at=DAY + "03Z")
    await api_client.span(run, id="two", parent_span_id="one", started_at=DAY + "04Z")

    columns = (await skeleton(api_client, run))["columns"]

    assert columns["id"] == ["orphan", "stray", "one", "two"]
    assert columns["parent"] == [None, None, None, 2]
    assert [flags & 16 for flags in columns["flags"]] == [16, 16, 16, 0]


@pytest.mark.parametrize("status", ["pending", "active"])
async def test_a_run_without_spans_has_a_skeleton(api_client: Any, status: str) -> None:
    """An empty run has a skeleton; only a started run has an origin."""
    run = await api_client.run(status)

    found = await skeleton(api_client, run)

    assert (found["total"], found["schemas"]) == (0, [])
    assert found["origin"] == run["started_at"]
    assert {len(column) for column in found["columns"].values()} == {0}


async def test_a_large_run_is_complete(api_client: Any) -> None:
    """A run of eleven thousand spans, read in parts, has each span once, in its place."""
    run = await api_client.run()
    total, part = 11_000, 1000
    for start in range(0, total, part):
        items = [
            {
                "_type": "agent_spans/create",
                "idempotency_key": f"key-{number:05}",
                "id": f"span-{number:05}",
                "agent_instance_id": run["id"],
                "schema_name": "step",
                "parent_span_id": f"span-{number // 10:05}" if number else None,
                "started_at": "2026-01-02T00:00:00Z",
            }
            for number in range(start, start + part)
        ]
        assert (await api_client.post("/bulk", {"items": items})).status == 200

    found = await skeleton(api_client, run)

    columns = found["columns"]
    assert found["total"] == total
    assert sorted(columns["id"]) == [f"span-{number:05}" for number in range(total)]
    for place, (span_id, parent) in enumerate(zip(columns["id"], columns["parent"], strict=True)):
        if parent is None:
            assert span_id == "span-00000"
        else:
            assert parent < place
            assert int(columns["id"][parent][5:]) == int(span_id[5:]) // 10


async def test_a_skeleton_is_visible_with_its_run(api_client: Any) -> None:
    """A deployment token reads its own runs' skeletons; others' and unknown ones are a 404."""
    run, other = await api_client.run(), await api_client.run(agent_id="agent-2")
    token = await api_client.deployment_token(run)
    await api_client.span(run)

    assert await skeleton(api_client, run, token=token) == await skeleton(api_client, run)
    for path in (f"/agent_instance/{other['id']}/skeleton", "/agent_instance/nobody/skeleton"):
        (await api_client.get(path, token=token)).refused(404, "not_found")
    (await api_client.get("/agent_instance/nobody/skeleton")).refused(404, "not_found")


async def test_a_skeleton_takes_no_parameters_and_is_not_in_bulk(api_client: Any) -> None:
    """Parameters are refused, and a bulk request cannot contain a skeleton."""
    run = await api_client.run()
    path = f"/agent_instance/{run['id']}/skeleton"
    item = {
        "_type": "agent_instances/skeleton",
        "agent_instance_id": run["id"],
        "idempotency_key": "key-of-item",
    }

    (await api_client.get(path, {"limit": "5"})).refused(400, "bad_request")
    outputs = (await api_client.post("/bulk", {"items": [item]})).body["outputs"]
    assert outputs["key-of-item"]["status"] == "error"


async def test_a_termination_flags_the_spans_that_it_closed(api_client: Any) -> None:
    """Spans that the termination closed are cancelled and flagged."""
    run = await api_client.run()
    await api_client.span(run)
    await api_client.post(f"/agent_instance/{run['id']}/terminate", {"reason": "enough"})

    columns = (await skeleton(api_client, run))["columns"]

    assert columns["status"] == ["cancelled"]
    assert columns["flags"][0] & 1


class _Skeletons:
    """Returns empty skeletons, and counts those that are not released yet."""

    def __init__(self) -> None:
        self.held = self.most_held = 0

    async def show(self, _run: AgentInstance, _prices: PriceTable) -> Skeleton:
        """Take a while, as a run with many spans does."""
        self.held += 1
        self.most_held = max(self.most_held, self.held)
        await asyncio.sleep(0.02)
        return _Skeleton(None, (), Columns(*([],) * len(Columns._fields))).counted_by(self)


class _Skeleton(Skeleton):
    """A skeleton that reports its end."""

    counter: _Skeletons

    def counted_by(self, counter: _Skeletons) -> Skeleton:
        self.counter = counter
        return self

    def __del__(self) -> None:
        self.counter.held -= 1


async def test_few_skeletons_are_in_memory(api_client: Any) -> None:
    """However many callers read skeletons at once, few are in memory, and all are answered."""
    run = await api_client.run()
    skeletons = _Skeletons()
    reader = replace(
        Reader.for_storage(api_client.storage),
        agent_instance_skeletons=cast("AgentInstanceSkeletonQueries", skeletons),
    )
    api = create_api(
        reader, api_client.writer, now_us=api_client.clock, random_bytes=os.urandom, limits=LIMITS
    )
    headers = {"Authorization": f"Bearer {api_client.token}"}

    async with listening(api) as url:
        path = f"{url}/api/v1/agent_instance/{run['id']}/skeleton"

        async def status() -> int:
            async with api_client.session.get(path, headers=headers) as response:
                await response.read()
                return int(response.status)

        assert set(await asyncio.gather(*(status() for _ in range(12)))) == {200}
    assert skeletons.most_held <= 2
    assert skeletons.held == 0
