"""What a bulk request assumes about rows before they are written, and the cost of an error."""

from typing import Any

import pytest
from rows import register, request

from prefactor_server.api.kernel.schema_declaration import empty_schema
from prefactor_server.domain.runs.retention import Retention

RUNS = 60
TYPES = [{"name": "step", "params_schema": {"required": ["a"]}}]


def _schema(number: int) -> dict[str, Any]:
    return {"external_identifier": f"schema-{number}", "span_type_schemas": TYPES}


def _run(number: int, **fields: Any) -> list[dict[str, Any]]:
    """Return a run from registration to end, with one completed span."""
    run_id, key = f"bulk-{number}", f"key-{number:05}"
    return [
        {
            "_type": "agent_instances/register",
            "idempotency_key": f"register-{key}",
            "agent_id": "agent-1",
            **fields,
            "id": run_id,
        },
        {
            "_type": "agent_instances/start",
            "idempotency_key": f"start-{key}",
            "agent_instance_id": run_id,
        },
        {
            "_type": "agent_spans/create",
            "idempotency_key": f"create-{key}",
            "agent_instance_id": run_id,
            "id": f"span-{number}",
            "schema_name": "step",
        },
        {
            "_type": "agent_spans/finish",
            "idempotency_key": f"finish-{key}",
            "agent_span_id": f"span-{number}",
        },
    ]


def _mix(kind: str) -> list[dict[str, Any]]:
    fields: list[dict[str, Any]] = []
    for number in range(RUNS):
        match kind:
            case "none declares":
                fields.append({})
            case "every other declares again" if number % 2:
                fields.append({})
            case "every other declares again":
                fields.append({"agent_schema_version": _schema(number)})
            case "one declares without becoming current" if number == 0:
                unused = {"agent_schema_version": _schema(99), "update_current_version": False}
                fields.append(unused)
            case "one declares without becoming current":
                fields.append({})
            case _:
                fields.append({"agent_id": f"new-{number}"})
    return [item for number, one in enumerate(fields) for item in _run(number, **one)]


@pytest.mark.parametrize("schema_before", [False, True])
@pytest.mark.parametrize(
    "kind",
    [
        "none declares",
        "every other declares again",
        "one declares without becoming current",
        "each for a new agent",
    ],
)
async def test_a_bulk_is_one_commit(api_client: Any, kind: str, *, schema_before: bool) -> None:
    """Runs that declare nothing get the current version, and no write is prepared twice."""
    await api_client.register()
    if schema_before:
        await api_client.register(agent_schema_version=_schema(0))
    commits = list[int]()
    transact = api_client.storage.transact

    async def counted(*arguments: Any) -> Any:
        commits.append(1)
        return await transact(*arguments)

    api_client.storage.transact = counted
    items = _mix(kind)

    outputs = (await api_client.post("/bulk", {"items": items})).body["outputs"]

    assert len(outputs) == len(items)
    assert {one["status"] for one in outputs.values()} == {"success"}
    assert len(commits) == 1


async def test_a_wrong_guess_is_corrected(
    api_client: Any,
) -> None:
    """An agent that is named in two ways makes each assumption wrong; the outcomes are right."""
    agent_id = (await api_client.register(agent_schema_version=_schema(0)))["agent_id"]
    items = [
        item
        for number in range(RUNS)
        for item in _run(
            number,
            **(
                {"agent_id": agent_id}
                if number % 2
                else {"agent_schema_version": {"span_type_schemas": [*TYPES, _type(number)]}}
            ),
        )
    ]

    outputs = (await api_client.post("/bulk", {"items": items})).body["outputs"]

    assert len(outputs) == len(items)
    shown = [await api_client.get(f"/agent_spans/span-{number}") for number in range(RUNS)]
    assert all(one.details["schema_registered"] for one in shown)
    assert {one.details["payload_validation"]["status"] for one in shown} == {"error"}


def _type(number: int) -> dict[str, Any]:
    return {"name": f"other-{number}", "params_schema": {}}


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_the_id_of_a_pruned_run_can_be_used_again(
    api_client: Any, *, elsewhere: bool
) -> None:
    """A cached run is dropped once it was deleted and registered again, on any server."""
    run = await api_client.run("complete", id="run-1", agent_schema_version=_schema(0))
    await api_client.span(run, id="span-1")
    now = api_client.clock.now + 1
    pruned = await api_client.storage.maintenance.prune(
        Retention(run["account_id"], now), now, "test"
    )
    assert (pruned.runs, pruned.spans) == (1, 1)

    if elsewhere:
        asked = request(run["account_id"])
        fields = {
            "environment_id": run["environment_id"],
            "request": asked,
            "empty_schema": empty_schema(run["account_id"]),
        }
        await api_client.writer.submit([register("run-1", "agent-2", **fields)], 0)
    else:
        await api_client.register("run-1", agent_id="agent-2")
    span = await api_client.span("run-1", id="span-1")

    assert (span["schema_registered"], span["payload_validation"]) == (False, None)
