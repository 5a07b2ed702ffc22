"""A long run is deleted in slices, and is invisible from the first one on."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_client import LIMITS, ApiClient, open_api_client
from people import in_another_account
from upkeep import findings, hold

from prefactor_server.domain.runs.cost import NO_PRICES
from prefactor_server.domain.runs.retention import Deletion, Pruned, Retention
from prefactor_server.storage.maintenance import prune_record
from prefactor_server.storage.postgres.upkeep import prune as prune_postgres
from prefactor_server.storage.sqlite.upkeep import maintenance, prune

SPANS = 12
SLICE = 5
JUDGED = {
    "external_identifier": "judged",
    "span_type_schemas": [{"name": "step", "params_schema": {}}],
    "quality_schemas": [{"name": "judge", "schema": {"type": "object"}}],
}


@pytest.fixture
async def api_client(database_url: str, monkeypatch: Any) -> AsyncIterator[ApiClient]:
    """A client of a server that deletes a few spans at a time."""
    for module in (prune, maintenance, prune_postgres):
        monkeypatch.setattr(module, "SPAN_SLICE", SLICE)
    async with open_api_client(database_url, limits=LIMITS, prices=NO_PRICES) as opened:
        yield opened


async def _recorded(api_client: ApiClient, run_id: str, spans: int = SPANS, **fields: Any) -> Any:
    """A run that has ended, with spans."""
    run = await api_client.register(run_id, **fields)
    await api_client.post(f"/agent_instance/{run_id}/start")
    for number in range(spans):
        await api_client.span(run, id=f"{run_id}-{number:02}", payload={"text": "needle"})
    await api_client.post(f"/agent_instance/{run_id}/finish", {"status": "complete"})
    return run


async def _delete(api_client: ApiClient, *runs: Any) -> Pruned:
    """Delete runs at once, as their account's policy or an operator does."""
    before, now = api_client.clock() + 1, api_client.clock()
    account_id = runs[0]["account_id"]
    record = prune_record(Retention(account_id, before), now, "cli")
    deletion = Deletion(account_id, [run["id"] for run in runs], before, now, record)
    return await api_client.storage.maintenance.delete_runs(deletion)


async def _held(api_client: ApiClient, run: Any) -> bool:
    """Put a run on hold, if it exists."""
    added, entry = (one._replace(account_id=run["account_id"]) for one in hold(run["id"]))
    return await api_client.storage.maintenance.add_hold(added, entry)


async def _answers(api_client: ApiClient) -> list[Any]:
    """Return the answers about the run, its spans, and the lists that had them."""
    step = {"agent_instance_id": "long", "schema_name": "step"}
    await api_client.follow()
    asked = [
        await api_client.get("/agent_instance"),
        await api_client.get("/agent_instance/long"),
        await api_client.get("/agent_instance/long/skeleton"),
        await api_client.get("/agent_instance", {"text": "needle"}),
        await api_client.get("/agent_spans", {"agent_instance_id": "long"}),
        await api_client.get("/agent_spans", {"ids": "long-00,long-11,short-00"}),
        *[await api_client.get(f"/agent_spans/long-{number:02}") for number in range(SPANS)],
        await api_client.post("/agent_spans/long-11/finish", {"status": "failed"}),
        await api_client.post("/agent_spans", {"details": step}),
        await api_client.post("/agent_instance/long/finish", {"status": "failed"}),
    ]
    return [(one.status, re.sub('"request_id":"[^"]*"', "", one.text)) for one in asked]


async def _spans_stored(api_client: ApiClient) -> int:
    named = "SELECT count(*) FROM agent_span WHERE agent_instance_id = 'long'"
    return int((await api_client.rows(named))[0][0])


async def test_a_run_is_gone_before_its_spans(api_client: ApiClient) -> None:
    """After the first slice, every answer is as it is after the last one."""
    run = await _recorded(api_client, "long")
    await _recorded(api_client, "short", 1)
    await api_client.follow()
    storage = api_client.storage

    pruned = await _delete(api_client, run)
    between = await _answers(api_client)
    assert (pruned.runs, pruned.spans) == (1, SPANS)
    assert pruned.payload_bytes > 0
    assert await _spans_stored(api_client) == SPANS
    assert await findings(storage) == []
    assert not await _held(api_client, run)
    assert await storage.maintenance.delete_remaining_spans() == SLICE
    assert await _answers(api_client) == between
    assert await findings(storage) == []
    while await storage.maintenance.delete_remaining_spans():
        pass

    assert await _spans_stored(api_client) == 0
    assert await _answers(api_client) == between
    assert await findings(storage) == []
    assert await api_client.rows("SELECT * FROM deleted_run") == []
    logged = (await api_client.get("/audit", {"action": "agent_instances.prune"})).summaries
    assert [one["detail"].split(": ")[1] for one in logged] == [str(pruned)]


async def test_ids_are_free_at_once(api_client: ApiClient) -> None:
    """A new run may take the ids of the deleted one, and keeps all of its spans."""
    run = await _recorded(api_client, "long")
    other = await _recorded(api_client, "other")
    await _delete(api_client, run)
    await _delete(api_client, other)

    await api_client.register("new")
    await api_client.post("/agent_instance/new/start")
    await api_client.span("new", id="other-03")
    await api_client.register("long")
    await api_client.post("/agent_instance/long/start")
    await api_client.span("long", id="long-07")
    while await api_client.storage.maintenance.delete_remaining_spans():
        pass

    assert (await api_client.get("/agent_instance/long")).details["span_counts"]["total"] == 1
    for span_id in ("long-07", "other-03"):
        assert (await api_client.get(f"/agent_spans/{span_id}")).details["payload"] == {}
    assert await findings(api_client.storage) == []


async def test_a_run_without_spans_leaves_nothing_behind(api_client: ApiClient) -> None:
    """A new run with the id of a deleted one that had no spans keeps all of its spans."""
    empty = await _recorded(api_client, "empty", 0)
    run = await _recorded(api_client, "long")
    await _delete(api_client, empty, run)

    await api_client.register("empty")
    await api_client.post("/agent_instance/empty/start")
    await api_client.span("empty", id="kept")
    while await api_client.storage.maintenance.delete_remaining_spans():
        pass

    assert (await api_client.get("/agent_spans/kept")).status == 200
    assert await findings(api_client.storage) == []


async def test_a_batch_that_registers_and_terminates(api_client: ApiClient) -> None:
    """A new run that is terminated at once ends no span of the deleted one with its id."""
    run = await _recorded(api_client, "long")
    await _delete(api_client, run)
    run_id, version = {"agent_instance_id": "long"}, {"external_identifier": "s1"}
    span = {**run_id, "schema_name": "step", "id": "new"}
    registered = {"agent_id": run["agent_id"], "id": "long", "agent_version": version}
    items = [
        {"_type": "agent_instances/register", **registered, "agent_schema_version": version},
        {"_type": "agent_instances/start", **run_id},
        {"_type": "agent_spans/create", "details": span},
        {"_type": "agent_instances/terminate", **run_id, "reason": "enough"},
    ]

    answer = await api_client.post(
        "/bulk", {"items": [{**one, "idempotency_key": one["_type"]} for one in items]}
    )

    outcomes = [one["status"] for one in answer.body["outputs"].values()]
    assert outcomes == ["success"] * 4, answer.text
    ((ids,),) = await api_client.rows(
        "SELECT span_ids FROM feed_change ORDER BY position DESC LIMIT 1"
    )
    assert ids == "new"


async def test_a_hold_that_comes_first_wins(api_client: ApiClient) -> None:
    """A run that is held before its deletion begins stays whole."""
    run = await _recorded(api_client, "long")
    assert await _held(api_client, run)

    assert await _delete(api_client, run) == Pruned()
    assert await api_client.storage.maintenance.delete_remaining_spans() == 0
    shown = (await api_client.get("/agent_instance/long")).details
    assert shown["span_counts"]["total"] == SPANS
    assert await _spans_stored(api_client) == SPANS


async def _known(api_client: ApiClient, run_id: str) -> list[str]:
    """Return everything that is known about a run."""
    of_run = {"agent_instance_id": run_id}
    asked = [
        await api_client.get(f"/agent_instance/{run_id}"),
        await api_client.get(f"/agent_instance/{run_id}/skeleton"),
        await api_client.get("/agent_instance", {"metadata[user]": run_id}),
        await api_client.get("/agent_spans", {**of_run, "include_summaries": "true"}),
        *[await api_client.get(f"/agent_spans/{run_id}-{number:02}") for number in range(2)],
        await api_client.get("/alerts", of_run),
        await api_client.get("/webhook_delivery", of_run),
    ]
    assert {one.status for one in asked} == {200}
    return [re.sub('"request_id":"[^"]*"', "", one.text) for one in asked]


async def _prune(api_client: ApiClient, run: Any) -> Pruned:
    """Delete the ended runs of an account, as `prefactor-server prune` does."""
    retention = Retention(run["account_id"], api_client.clock() + 1)
    return await api_client.storage.maintenance.prune(retention, api_client.clock(), "cli")


@pytest.mark.parametrize(("spans", "delete"), [(2, _prune), (2, _delete), (SPANS, _delete)])
@pytest.mark.parametrize("kept", ["another run", "another account"])
async def test_a_deletion_concerns_no_other_run(
    api_client: ApiClient, spans: int, delete: Any, kept: str
) -> None:
    """When a run is deleted, one on hold keeps spans, judgements, metadata, alerts and events.

    It may be the run of another account, with the same ids.
    """
    maintenance = api_client.storage.maintenance
    keeper, kept_id = api_client, "kept"
    if kept == "another account":
        keeper, kept_id = await in_another_account(api_client), "gone"
    # A follower that has caught up sends the events of what happens next.
    await api_client.follow()
    details = {"url": "http://127.0.0.1:9/hook", "events": ["run.finished"]}
    for client in (api_client, keeper):
        assert (await client.post("/webhook", {"details": details})).status == 200
    runs = [
        await _judged(client, run_id, spans)
        for client, run_id in ((keeper, kept_id), (api_client, "gone"))
    ]
    await api_client.follow()
    before = await _known(keeper, kept_id)
    assert await _held(api_client, runs[0])
    retention = Retention(runs[1]["account_id"], api_client.clock() + 1)
    previewed = await maintenance.preview(retention)

    assert await maintenance.held(retention) == (kept == "another run")
    assert await delete(api_client, runs[1]) == previewed
    assert (previewed.runs, previewed.spans) == (1, spans)
    while await maintenance.delete_remaining_spans():
        pass
    await api_client.follow()

    assert await _known(keeper, kept_id) == before
    assert await findings(api_client.storage) == []
    for needle in ("score", "user", "odd", "run.finished"):
        assert any(needle in text for text in before), needle


async def _judged(client: ApiClient, run_id: str, spans: int) -> Any:
    """Record a run with everything that belongs to one."""
    fields = {"metadata": {"user": run_id}, "agent_schema_version": JUDGED}
    run = await _recorded(client, run_id, spans, **fields)
    judged = {"name": "judge", "payload": {"score": 1}}
    raised = {"agent_instance_id": run_id, "name": "odd"}
    for path, body in (
        (f"/agent_instance/{run_id}/record_quality", judged),
        ("/alerts/raise", raised),
    ):
        written = await client.post(path, body)
        assert written.status == 200, written.text
    return run
