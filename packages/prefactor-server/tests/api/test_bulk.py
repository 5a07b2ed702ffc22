"""Bulk requests: in order, up to the first failure, and safe to repeat."""

import asyncio
from typing import Any

import pytest
from bulk_items import RUN, new_item, outputs_of, register_item, span_item


async def test_a_whole_run_fits_into_one_request(api_client: Any) -> None:
    """Items see what earlier items wrote: a run is registered, recorded and read back."""
    declared = {
        "span_type_schemas": [
            {"name": "step", "params_schema": {"required": ["a"]}, "template": "{{ a }}{{ b }}"}
        ]
    }

    outputs = await outputs_of(
        api_client,
        register_item(agent_schema_version=declared),
        new_item("agent_instances/start", "start", agent_instance_id=RUN),
        span_item("create", "span-1", status="active", payload={"a": "A"}),
        new_item("agent_spans/finish", "finish", agent_span_id="span-1", result_payload={"b": "B"}),
        new_item("agent_instances/finish", "end", id=RUN, status="failed"),
        new_item("agent_instances/show", "show", agent_instance_id=RUN),
        new_item("agent_spans/list", "list", agent_instance_id=RUN, include_summaries=True),
        new_item("agents/show", "agent", agent_id="agent-1"),
        new_item("agents/list", "agents"),
        new_item("ping", "ping"),
    )

    assert list(outputs) == [
        f"key-{key:0>4}"
        for key in (
            "reg", "start", "create", "finish", "end", "show", "list", "agent", "agents", "ping"
        )
    ]  # fmt: skip
    assert {output["status"] for output in outputs.values()} == {"success"}
    created, ended = outputs["key-create"]["details"], outputs["key-finish"]["details"]
    assert (created["summary"], ended["summary"]) == ("A", "AB")
    assert created["payload_validation"]["status"] == "success"
    run = outputs["key-show"]["details"]
    assert (run["status"], run["span_counts"]["complete"]) == ("failed", 1)
    (row,) = outputs["key-list"]["summaries"]
    assert (row["summary"], outputs["key-list"]["pagination"]["item_count"]) == ("AB", 1)
    assert (await api_client.get("/agent_spans/span-1")).details == ended


async def test_a_second_run_of_the_same_agent_is_bound_like_the_first(api_client: Any) -> None:
    """Spans of a later registration are checked against the version that it was bound to."""
    old = {"span_type_schemas": [{"name": "step", "params_schema": {"required": ["old"]}}]}
    new = {"span_type_schemas": [{"name": "step", "params_schema": {"required": ["new"]}}]}
    await api_client.register("first", agent_schema_version=old)
    await api_client.register("second", agent_schema_version=new)

    outputs = await outputs_of(
        api_client,
        register_item("a", id="run-a", agent_schema_version=old),
        span_item("b", "span-a", agent_instance_id="run-a", payload={"old": 1}),
        register_item("c", id="run-b"),
        span_item("d", "span-b", agent_instance_id="run-b", payload={"old": 1}),
    )

    marks = [outputs[f"key-000{key}"]["details"]["payload_validation"] for key in "bd"]
    assert [mark["status"] for mark in marks] == ["success", "success"]


async def test_a_failing_item_ends_the_request(api_client: Any) -> None:
    """Items before the failure are done, the failure is reported, and later ones are absent."""
    outputs = await outputs_of(
        api_client,
        register_item(),
        span_item("1", "span-1"),
        span_item("2", "span-1"),
        span_item("3", "span-3"),
    )

    assert [output["status"] for output in outputs.values()] == ["success", "success", "error"]
    assert outputs["key-0002"]["code"] == "invalid_action"
    assert (await api_client.get("/agent_spans/span-1")).status == 200
    (await api_client.get("/agent_spans/span-3")).refused(404, "not_found")


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (new_item("agents/show", "bad", agent_id="nobody"), "not_found"),
        (new_item("agents/show", "bad", agent_id="agent-1", colour="red"), "bad_request"),
        (new_item("agent_spans/list", "bad"), "validation_errors"),
        (new_item("agents/nonsense", "bad"), "not_implemented"),
        (new_item("agent_instances/start", "bad"), "validation_errors"),
        (new_item("agent_instances/start", "bad", id=5), "validation_errors"),
        (new_item("agent_instances/start", "bad", id="a b"), "not_found"),
        (new_item("agent_spans/create", "bad", schema_name="x"), "validation_errors"),
        (new_item("bulk/execute", "bad", items=[]), "not_implemented"),
    ],
)
async def test_every_kind_of_failure_ends_the_request(
    api_client: Any, item: dict[str, Any], code: str
) -> None:
    """For every kind of failure, earlier items are done and later ones are not."""
    outputs = await outputs_of(api_client, register_item(), item, span_item("after", "span-1"))

    assert [output["status"] for output in outputs.values()] == ["success", "error"]
    assert outputs["key-0bad"]["code"] == code
    assert outputs["key-0bad"]["message"]
    (await api_client.get("/agent_spans/span-1")).refused(404, "not_found")


async def test_a_repeated_request_continues_where_it_stopped(api_client: Any) -> None:
    """After a failure is fixed, the same request replays what was done and does the rest."""
    other = span_item("2", "span-2", agent_instance_id="run-2")
    items = [register_item(), span_item("1", "span-1"), other, span_item("3", "span-3")]
    first = await outputs_of(api_client, *items)
    await api_client.register("run-2")

    second = await outputs_of(api_client, *items)
    third = await outputs_of(api_client, *items)

    assert first["key-0002"]["code"] == "not_found"
    assert [output["status"] for output in second.values()] == ["success"] * 4
    assert second["key-0001"] == first["key-0001"]
    assert third == second
    counts = (await api_client.get(f"/agent_instance/{RUN}")).details["span_counts"]
    assert counts["total"] == 2


async def test_single_and_bulk_requests_share_keys(api_client: Any) -> None:
    """A key used by a single request is a repeat in bulk, whether flat or wrapped."""
    fields = {"agent_instance_id": RUN, "schema_name": "step", "payload": {"a": 1}}
    await api_client.register(RUN)
    alone = await api_client.post(
        "/agent_spans", {"details": fields, "idempotency_key": "key-span"}
    )

    flat = await outputs_of(api_client, new_item("agent_spans/create", "span", **fields))
    wrapped = await outputs_of(api_client, new_item("agent_spans/create", "span", details=fields))

    assert flat["key-span"] == wrapped["key-span"] == alone.body


@pytest.mark.parametrize("wrap", [False, True])
async def test_fields_are_beside_the_key_or_under_details(api_client: Any, wrap: bool) -> None:
    """Both forms are accepted for every write, and errors are nested as the item is."""

    def wrapped(kind: str, key: str, **fields: Any) -> dict[str, Any]:
        return new_item(kind, key, **({"details": fields} if wrap else fields))

    outputs = await outputs_of(
        api_client,
        wrapped("agents/create", "agent", name="A", external_identifier="agent-1"),
        wrapped("agent_instances/register", "reg", agent_id="agent-1", id=RUN),
        wrapped("agent_spans/create", "span", agent_instance_id=RUN, schema_name=""),
    )

    errors = outputs["key-span"]["errors"]
    error = errors["details"]["schema_name"] if wrap else errors["schema_name"]
    assert error["code"] == "invalid_value"
    assert outputs["key-0reg"]["details"]["id"] == RUN


async def test_each_item_has_the_control_signal(api_client: Any) -> None:
    """The control signal is part of the output of every span write of a terminated run."""
    run = await api_client.run("terminated")

    outputs = await outputs_of(
        api_client,
        span_item("1", "span-1", agent_instance_id=run["id"]),
        new_item("agent_spans/finish", "2", agent_span_id="span-1"),
    )

    control = {"terminate": True, "reason": "enough"}
    assert [output["control"] for output in outputs.values()] == [control, control]


async def test_a_termination_affects_later_items(api_client: Any) -> None:
    """Items after a termination in the same request see the run and its spans as it left them."""
    await api_client.run(id=RUN)

    outputs = await outputs_of(
        api_client,
        span_item("1", "span-1"),
        new_item("agent_instances/terminate", "2", id=RUN, reason="enough"),
        new_item("agent_spans/finish", "3", id="span-1"),
        span_item("4", "span-4"),
    )

    assert "control" not in outputs["key-0001"]
    assert outputs["key-0003"]["control"]["reason"] == "enough"
    assert outputs["key-0003"]["details"]["status"] == "complete"
    assert outputs["key-0004"]["control"]["terminate"] is True


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ([], ()),
        ({}, ("items",)),
        ({"items": None}, ("items",)),
        ({"items": {}}, ("items",)),
        ({"items": []}, ("items",)),
        ({"items": [5]}, ("items", "0")),
        ({"items": [register_item(), []]}, ("items", "1")),
        ({"items": [{"idempotency_key": "long-enough"}]}, ("items", "0", "_type")),
        ({"items": [{"_type": 5, "idempotency_key": "long-enough"}]}, ("items", "0", "_type")),
        ({"items": [{"_type": "ping"}]}, ("items", "0", "idempotency_key")),
        ({"items": [{"_type": "ping", "idempotency_key": "short"}]},
         ("items", "0", "idempotency_key")),
        ({"items": [{"_type": "ping", "idempotency_key": "x" * 129}]},
         ("items", "0", "idempotency_key")),
        ({"items": [{"_type": "ping", "idempotency_key": 12345678}]},
         ("items", "0", "idempotency_key")),
        ({"items": [register_item(), register_item()]}, ("items", "1", "idempotency_key")),
        ({"items": [new_item("ping", str(number)) for number in range(1001)]}, ("items",)),
    ],
)  # fmt: skip
async def test_a_malformed_request_does_nothing(
    api_client: Any, body: Any, path: tuple[str, ...]
) -> None:
    """A malformed request is refused with the error's place, and no item is carried out."""
    answer = await api_client.post("/bulk", body)

    error = answer.refused(422, "validation_errors")["errors"]
    for name in path:
        error = error[name]
    assert (await api_client.get("/agent_instance")).summaries == []


@pytest.mark.parametrize("length", [8, 64, 128])
async def test_keys_of_every_allowed_length_work(api_client: Any, length: int) -> None:
    """The shortest and the longest allowed key work."""
    key = "k" * length

    outputs = await outputs_of(api_client, {"_type": "ping", "idempotency_key": key})

    assert outputs[key]["details"]["type"] == "ping"


async def test_a_thousand_items_fit(api_client: Any) -> None:
    """The largest number of items is carried out in one request."""
    items = [register_item(), *(span_item(str(number), f"span-{number}") for number in range(999))]

    outputs = await outputs_of(api_client, *items)

    assert len(outputs) == 1000
    counts = (await api_client.get(f"/agent_instance/{RUN}")).details["span_counts"]
    assert counts["active"] == 999


async def test_items_read_earlier_writes(api_client: Any) -> None:
    """A read between writes sees the earlier ones and not the later ones."""
    await api_client.register(RUN)
    count = new_item("agent_instances/show", "show", id=RUN)

    outputs = await outputs_of(
        api_client,
        span_item("1", "span-1"),
        {**count, "idempotency_key": "show-0001"},
        span_item("2", "span-2"),
        {**count, "idempotency_key": "show-0002"},
    )

    totals = [outputs[f"show-000{n}"]["details"]["span_counts"]["total"] for n in (1, 2)]
    assert totals == [1, 2]


async def test_pages_have_two_spellings(api_client: Any) -> None:
    """An item may nest what a query puts in brackets, or spell it like the query."""
    for number in range(3):
        await api_client.register(f"run-{number}")

    outputs = await outputs_of(
        api_client,
        new_item(
            "agent_instances/list",
            "nest",
            pagination={"offset": 1, "page_size": 1},
            sorting={"field": "id", "direction": "desc"},
        ),
        new_item("agent_instances/list", "flat", **{"pagination[offset]": 1, "sorting": "-id"}),
    )

    rows = [[row["id"] for row in outputs[f"key-{name}"]["summaries"]] for name in ("nest", "flat")]
    assert rows == [["run-1"], ["run-1", "run-0"]]


async def test_the_same_request_twice_at_once_has_one_effect(api_client: Any) -> None:
    """Two copies in flight get the same answer, and nothing is done twice."""
    items = [register_item(), *(span_item(str(number), f"span-{number}") for number in range(20))]

    first, second = await asyncio.gather(
        outputs_of(api_client, *items), outputs_of(api_client, *items)
    )

    assert [first[key]["details"]["id"] for key in first] == [
        second[key]["details"]["id"] for key in second
    ]
    counts = (await api_client.get(f"/agent_instance/{RUN}")).details["span_counts"]
    assert counts["total"] == 20


async def test_finishing_stored_spans_uses_their_payloads(api_client: Any) -> None:
    """Spans created long before can be finished in bulk, with complete summaries."""
    declared = {"span_type_schemas": [
        {"name": "step", "params_schema": {}, "template": "{{ a }}{{ b }}"}
    ]}  # fmt: skip
    await api_client.register(RUN, agent_schema_version=declared)
    for number in range(3):
        await api_client.span(RUN, id=f"span-{number}", payload={"a": number})

    outputs = await outputs_of(
        api_client,
        *(
            new_item(
                "agent_spans/finish", str(n), agent_span_id=f"span-{n}", result_payload={"b": n}
            )
            for n in range(3)
        ),
    )

    summaries = [output["details"]["summary"] for output in outputs.values()]
    assert summaries == ["00", "11", "22"]
