"""Ids on request."""

from typing import Any

import pytest
from pfids import partition_of

from prefactor_server.domain.pfid import is_pfid


@pytest.mark.parametrize(
    ("body", "count"),
    [(None, 1), ({}, 1), ({"count": None}, 1), ({"count": 1}, 1), ({"count": 1000}, 1000)],
)
async def test_ids_share_the_partition_of_their_account(
    api_client: Any, body: Any, count: int
) -> None:
    """The requested number of distinct ids is returned, all with the account's partition."""
    account_id = (await api_client.get("/ping")).details["account_id"]

    pfids = (await api_client.post("/pfid/generate", body)).details["pfids"]

    assert len(set(pfids)) == count
    assert all(is_pfid(pfid) for pfid in pfids)
    assert {partition_of(pfid) for pfid in pfids} == {partition_of(account_id)}


async def test_ids_below_a_run_have_its_partition(api_client: Any) -> None:
    """Each run's id has its own partition, and its spans and alerts have the same one."""
    register = {"agent_id": "agent-1", "agent_version": {"external_identifier": "1"}}
    runs = [(await api_client.post("/agent_instance/register", register)).details for _ in range(8)]

    assert len({partition_of(run["id"]) for run in runs}) > 1
    assert [run["id"] for run in runs] == sorted(run["id"] for run in runs)
    for run in runs:
        span = {"agent_instance_id": run["id"], "schema_name": "step", "payload": {}}
        alert = {"agent_instance_id": run["id"], "name": "late"}
        below = [
            (await api_client.post("/agent_spans", {"details": span})).details["id"],
            (await api_client.post("/alerts/raise", alert)).details["id"],
        ]
        assert {partition_of(one) for one in below} == {partition_of(run["id"])}


async def test_a_run_without_a_pfid_uses_its_accounts_partition(
    api_client: Any,
) -> None:
    """Below a run whose id is not a PFID, ids have the account's partition."""
    account_id = (await api_client.get("/ping")).details["account_id"]
    register = {"agent_id": "agent-1", "agent_version": {"external_identifier": "1"}, "id": "run-1"}
    await api_client.post("/agent_instance/register", register)

    span = {"agent_instance_id": "run-1", "schema_name": "step", "payload": {}}
    made = (await api_client.post("/agent_spans", {"details": span})).details["id"]

    assert partition_of(made) == partition_of(account_id)


@pytest.mark.parametrize("count", [0, -1, 1001, 2**70, 1.5, "3", True])
async def test_an_impossible_number_of_ids_is_refused(api_client: Any, count: Any) -> None:
    """A request generates one to a thousand ids."""
    answer = await api_client.post("/pfid/generate", {"count": count})

    errors = answer.refused(422, "validation_errors")["errors"]
    assert errors["count"]["message"] == "must be 1 to 1000"


async def test_ids_are_generated_in_bulk(api_client: Any) -> None:
    """A bulk item creates ids, with its fields flat or under `details`, and names errors."""
    items = [
        {"_type": "pfids/generate", "idempotency_key": "flat-0000", "count": 2},
        {"_type": "pfids/generate", "idempotency_key": "nested-00", "details": {"count": 3}},
        {"_type": "pfids/generate", "idempotency_key": "wrong-000", "details": {"count": 0}},
    ]

    outputs = (await api_client.post("/bulk", {"items": items})).body["outputs"]

    made = [outputs[key]["details"]["pfids"] for key in ("flat-0000", "nested-00")]
    assert [len(pfids) for pfids in made] == [2, 3]
    assert outputs["wrong-000"]["errors"]["details"]["count"]["code"] == "invalid_value"


async def test_another_account_has_its_own_ids(api_client: Any) -> None:
    """Ids are made for the token's account alone."""
    answer = await api_client.post("/pfid/generate", {"account_id": "somebody-else"})

    answer.refused(403, "not_permitted")
