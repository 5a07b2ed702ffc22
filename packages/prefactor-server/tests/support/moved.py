"""Everything an export holds: recorded on one server, exported, and imported elsewhere."""

import asyncio
import io
import json
import os
import subprocess
from typing import Any

from otlp_request import AGENT, CHAT, PROTOBUF, TOOL, failed, protobuf, request, span

from live_server import PROGRAM
from prefactor_server.queries.runs.export import ExportQueries
from prefactor_server.transfer.export import Encoding, Selection, export_all
from prefactor_server.transfer.jsonl import JsonlEncoding
from prefactor_server.transfer.load import Import, import_file

SECRET = {"card": {"$sensitive": "financial", "value": "4111"}, "note": "paid ❄\u2028"}
TYPES = [
    {
        "name": "pay",
        "spanType": "tool:pay",
        "title": "Pay",
        "params_schema": {"type": "object", "properties": {"note": {"type": "string"}}},
        "result_schema": {"type": "object", "required": ["ok"]},
        "template": "{{ note }}",
        "data_risk": {"action_profile": {"financial_transactions": "allowed"}},
    }
]
SCHEMA = {
    "external_identifier": "s-1",
    "span_type_schemas": TYPES,
    "quality_schemas": [{"name": "judge", "schema": {"type": "object"}, "template": "{{ score }}"}],
    "alert_schemas": [{"name": "odd", "title": "Odd", "schema": {"type": "object"}}],
}


async def record_everything(client: Any) -> None:
    """Record everything that an export may hold, by every route."""
    staging = (await client.post("/environment", {"details": {"name": "Staging"}})).details
    weights = {"financial_information": {"weight": 7, "included": True}}
    profile = {"name": "Strict", "category_weights": weights, "agreed_risk": "low"}
    made = (await client.post("/risk_profile", {"details": profile})).details
    agent = {
        "name": "Payer",
        "external_identifier": "payer",
        "risk_profile_id": made["id"],
        "owner_person_id": "Ada Lovelace",
        "team_id": "payments & refunds",
        "run_cost_limit": 1e9,
    }
    await client.post("/agent", {"details": agent})
    version = {"external_identifier": "v1", "name": "One", "runtime_environment": {"py": "3.13"}}
    for number, status in enumerate(("complete", "failed", "terminated", "active", "pending")):
        run = await client.run(
            "pending" if status == "pending" else "active",
            agent_id="payer",
            agent_version=version,
            agent_schema_version=SCHEMA,
            external_identifier=f"run-{number}",
            metadata={"user": "ada", "release": str(number)},
            **({"environment_id": staging["id"]} if number % 2 else {}),
        )
        await _spans(client, run)
        path = f"/agent_instance/{run['id']}"
        if status == "terminated":
            await client.post(f"{path}/terminate", {"reason": "enough"})
        elif status not in {"active", "pending"}:
            await client.post(f"{path}/finish", {"status": status})
        for name in ("judge", "comment:ada"):
            body = {"name": name, "payload": {"score": number, "text": "fine"}}
            await client.post(f"{path}/record_quality", body)
        raised = {"agent_instance_id": run["id"], "name": "odd", "payload": SECRET}
        assert (await client.post("/alerts/raise", raised)).status == 200
    await client.post("/alerts/clear", {"agent_instance_id": run["id"], "name": "odd"})
    spans = [span(1, None, AGENT), span(2, 1, CHAT), span(3, 1, TOOL, **failed("lost"))]
    assert (
        await client.post("/v1/traces", protobuf(request(spans)), headers=PROTOBUF)
    ).status == 200
    await client.follow()


async def _spans(client: Any, run: Any) -> None:
    root = await client.span(run, schema_name="pay", payload=SECRET, sensitive_encoding=True)
    wrong = {"note": 7}
    await client.span(run, schema_name="pay", parent_span_id=root["id"], payload=wrong)
    await client.span(run, parent_span_id=root["id"], status="pending", payload=None)
    usage = {"usage": {"prompt_tokens": 3, "completion_tokens": 4}, "model": "m-1", "n": 1.50}
    kept = await client.span(run, schema_name="llm", payload={"text": "x" * 3000})
    await client.post(f"/agent_spans/{kept['id']}/finish", {"result_payload": usage})
    gone = await client.span(run, schema_name="pay", payload=SECRET, status="failed")
    await client.post(f"/agent_spans/{gone['id']}/discard_sensitive")


async def exported(client: Any, encoding: Encoding | None = None, **selected: Any) -> bytes:
    """Everything that a server has recorded, as an export."""
    (account,) = await client.storage.accounts()
    selection = Selection(account.id, **selected)
    queries = ExportQueries(client.storage)
    pieces = export_all(queries, encoding or JsonlEncoding(), selection, lambda _: None)
    return b"".join([piece async for piece in pieces])


async def imported(client: Any, document: bytes, done: Import | None = None) -> Import:
    """Import an export and return the result."""
    (account,) = await client.storage.accounts()
    done = done or Import()
    await import_file(
        client.storage, account, io.BytesIO(document), done, lambda: None, now=client.clock()
    )
    return done


async def small_export(source: Any) -> list[dict[str, Any]]:
    """The lines of an export with two runs, of two spans each."""
    for name in ("run-1", "run-2"):
        run = await source.register(name)
        await source.post(f"/agent_instance/{name}/start")
        for number in (1, 2):
            await source.span(run, id=f"{name}-{number}", payload={"n": number})
    return [json.loads(line) for line in (await exported(source)).splitlines()]


async def call(*arguments: object, database: Any) -> "subprocess.CompletedProcess[str]":
    """Run a command on the database of a server to its end."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFACTOR_")}
    return await asyncio.to_thread(
        subprocess.run,
        [PROGRAM, *map(str, arguments)],
        env={**kept, "COLUMNS": "200", "PREFACTOR_DATABASE": database},
        capture_output=True,
        text=True,
        check=False,
    )
