"""Webhooks: create, list, show, change, rotate, test and delete them."""

import asyncio
from typing import Any

import pytest
from api_client import ApiClient, open_api_client
from people import signed_in
from webhook_receiver import Receiver

from prefactor_server.api.operations import OPERATIONS
from prefactor_server.commands.base import Done, Refused, Request
from prefactor_server.commands.webhook import CreateWebhook, DeleteWebhook, Scope
from prefactor_server.domain.people.role import Role
from prefactor_server.domain.runs.webhooks.webhook import Webhook

DETAILS = {"url": "https://hooks.example.org/in", "events": ["run.failed"]}


async def test_a_webhook_has_a_secret_that_is_shown_once(api_client: ApiClient) -> None:
    """Only the first answer has the secret: not a repeat, a list, or the database."""
    headers = {"Idempotency-Key": "create-it-once"}
    created = (await api_client.post("/webhook", {"details": DETAILS}, headers=headers)).body
    again = await api_client.post("/webhook", {"details": DETAILS}, headers=headers)

    secret, details = created["secret"], created["details"]
    assert secret.startswith("whsec_")
    assert again.replayed
    assert again.body == {"status": "success", "details": details}
    assert (await api_client.get("/webhook")).summaries == [details]
    assert (await api_client.get(f"/webhook/{details['id']}")).details == details
    ((stored,),) = await api_client.rows("SELECT secret FROM webhook")
    assert secret.encode() not in stored
    assert (details["status"], details["agent_ids"], details["purposes"]) == ("enabled", None, None)


async def test_an_update_changes_the_given_fields(api_client: ApiClient) -> None:
    """Missing fields are unchanged, null removes a filter, and each change is logged."""
    run = await api_client.run("pending")
    details = {
        **DETAILS,
        "agent_ids": ["agent-1"],
        "environment_ids": [run["environment_id"]],
        "purposes": ["live", "eval"],
        "description": "pager",
    }
    made = (await api_client.post("/webhook", {"details": details})).details
    path = f"/webhook/{made['id']}"
    assert made["agent_ids"] == [run["agent_id"]]

    changed = await api_client.call("PUT", path, {"details": {"purposes": None}})
    assert changed.details == {
        **made,
        "purposes": None,
        "updated_at": changed.details["updated_at"],
    }
    more = {"events": ["cost.exceeded", "run.failed"], "agent_ids": None, "status": "disabled"}
    changed = await api_client.call("PUT", path, {"details": more})
    assert changed.details["events"] == ["cost.exceeded", "run.failed"]
    assert (changed.details["agent_ids"], changed.details["status"]) == (None, "disabled")
    assert changed.details["environment_ids"] == [run["environment_id"]]
    assert (await api_client.get("/webhook", {"status": "enabled"})).summaries == []
    actions = [one["action"] for one in (await api_client.get("/audit")).summaries]
    assert actions[:3] == ["webhooks.update", "webhooks.update", "webhooks.create"]


async def test_a_change_is_refused_if_another_came_first(api_client: ApiClient) -> None:
    """A change that names an older state of a webhook changes nothing."""
    made = (await api_client.post("/webhook", {"details": DETAILS})).details
    path, based = f"/webhook/{made['id']}", {"previous_updated_at": made["updated_at"]}

    first = await api_client.call("PUT", path, {"details": {"description": "first", **based}})
    second = await api_client.call("PUT", path, {"details": {"description": "second", **based}})

    second.refused(409, "invalid_action")
    assert (await api_client.get(path)).details == first.details
    assert first.details["description"] == "first"


async def test_an_invalid_webhook_is_refused(api_client: ApiClient) -> None:
    """Each wrong field is named, with what is allowed, at creation and at a change alike."""
    made = (await api_client.post("/webhook", {"details": DETAILS})).details
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"url": "https://10.0.0.1/"}, "url", "webhook_networks"),
        ({"url": "https://169.254.169.254/latest"}, "url", "webhook_networks"),
        ({"url": "gopher://example.org"}, "url", "https://"),
        ({"events": []}, "events", "must be 1 to 20 values, got 0"),
        ({"events": ["run.exploded"]}, "events", "must be one of"),
        ({"purposes": ["fun"]}, "purposes", "must be one of live, smoke_test, eval"),
        ({"agent_ids": ["nobody"]}, "agent_ids", "'nobody' is not an agent"),
        ({"environment_ids": ["nowhere"]}, "environment_ids", "'nowhere' is not an environment"),
        ({"secret": "mine"}, "secret", "is not a known field"),
    ]
    for change, field, message in wrong:
        for answer in (
            await api_client.post("/webhook", {"details": {**DETAILS, **change}}),
            await api_client.call("PUT", f"/webhook/{made['id']}", {"details": change}),
        ):
            body = answer.refused(422, "validation_errors")
            assert field in body["errors"]["details"]
            assert message in body["message"]


async def test_an_account_has_a_limited_number_of_webhooks(api_client: ApiClient) -> None:
    """One webhook too many is refused, also of several at once, and deleting one makes room."""
    made = [(await api_client.post("/webhook", {"details": DETAILS})).details for _ in range(48)]
    at_once = [api_client.post("/webhook", {"details": DETAILS}) for _ in range(4)]
    answers = sorted(await asyncio.gather(*at_once), key=lambda answer: answer.status)
    assert [answer.status for answer in answers] == [200, 200, 409, 409]
    body = answers[-1].refused(409, "invalid_action")
    assert "50 webhooks" in body["message"]

    assert (await api_client.call("DELETE", f"/webhook/{made[0]['id']}")).status == 200
    assert (await api_client.post("/webhook", {"details": DETAILS})).status == 200
    account = (await api_client.storage.accounts())[0].id
    stored = await api_client.storage.row(Webhook, account, made[1]["id"])
    request = Request(account, "test", api_client.clock(), None, b"")
    outcomes = await api_client.writer.submit(
        [
            DeleteWebhook(request, stored.id),
            CreateWebhook(request, stored._replace(id="instead"), Scope()),
            CreateWebhook(request, stored._replace(id="one-more"), Scope()),
        ],
        0,
    )
    assert [type(one) for one in outcomes] == [Done, Done, Refused]


async def test_a_deleted_webhook_is_gone(
    api_client: ApiClient, receiver: Receiver, webhook: Any
) -> None:
    """A deleted webhook is not shown, receives nothing, and loses its secrets and deliveries."""
    path = f"/webhook/{webhook['details']['id']}"
    await api_client.run("complete")
    await api_client.follow()
    assert (await api_client.call("DELETE", path)).status == 200
    await api_client.send_webhooks()

    assert receiver.received == []
    (await api_client.get(path)).refused(404, "not_found")
    (await api_client.post(f"{path}/test")).refused(404, "not_found")
    (await api_client.call("DELETE", path)).refused(404, "not_found")
    assert await api_client.rows("SELECT secret, previous_secret FROM webhook") == [(b"", None)]
    assert await api_client.storage.webhooks.prune(0, 100) == 1
    assert (await api_client.get("/webhook_delivery")).summaries == []


async def test_a_secret_is_rotated_with_an_overlap(
    api_client: ApiClient, receiver: Receiver, webhook: Any
) -> None:
    """For some hours requests are signed with both secrets, then with the new one alone."""
    path = f"/webhook/{webhook['details']['id']}"
    body = {"details": {"overlap_hours": 2}}
    rotated = (await api_client.post(f"{path}/rotate_secret", body)).body
    assert rotated["details"]["previous_secret_until"] is not None
    assert (await api_client.post(f"{path}/test")).details["status"] == "delivered"
    api_client.clock.leap(seconds=2 * 3600)
    await api_client.post(f"{path}/test")

    during, after = receiver.received
    assert during.is_signed_with(webhook["secret"])
    assert during.is_signed_with(rotated["secret"])
    assert not after.is_signed_with(webhook["secret"])
    assert after.is_signed_with(rotated["secret"])
    assert (await api_client.get(path)).details["previous_secret_until"] is None
    too_long = {"details": {"overlap_hours": 169}}
    refused = await api_client.post(f"{path}/rotate_secret", too_long)
    assert "0 to 168" in refused.refused(422, "validation_errors")["message"]


async def test_a_test_returns_its_result(
    api_client: ApiClient, receiver: Receiver, webhook: Any
) -> None:
    """A test is sent once, at once, and its result is returned, for a disabled webhook too."""
    webhook_id = webhook["details"]["id"]
    await api_client.call("PUT", f"/webhook/{webhook_id}", {"details": {"status": "disabled"}})
    receiver.statuses = [500]
    failed = (await api_client.post(f"/webhook/{webhook_id}/test")).details
    worked = (await api_client.post(f"/webhook/{webhook_id}/test")).details

    assert (failed["status"], failed["response_status"]) == ("failed", 500)
    assert failed["next_attempt_at"] is None
    assert (worked["status"], worked["event_type"]) == ("delivered", "webhook.test")
    assert worked["agent_instance_id"] is None
    assert receiver.received[1].event["data"]["webhook_id"] == webhook_id
    assert receiver.received[0].id != receiver.received[1].id
    listed = (await api_client.get("/webhook_delivery", {"webhook_id": webhook_id})).summaries
    assert [one["id"] for one in listed] == [worked["id"], failed["id"]]


async def test_without_a_secret_key_there_are_no_webhooks(database_url: str) -> None:
    """A server without a key refuses to create a webhook, and says how to set one."""
    async with open_api_client(database_url, secret_key="") as client:
        body = (await client.post("/webhook", {"details": DETAILS})).refused(409, "invalid_action")

    assert "PREFACTOR_SECRET_KEY" in body["message"]


async def test_webhooks_need_an_account_token(api_client: ApiClient) -> None:
    """A deployment token can neither see nor create webhooks."""
    token = await api_client.deployment_token(await api_client.run("pending"))

    (await api_client.get("/webhook", token=token)).refused(403, "not_permitted")
    answer = await api_client.post("/webhook", {"details": DETAILS}, token=token)
    answer.refused(403, "not_permitted")


@pytest.mark.parametrize("role", ["viewer", "member"])
async def test_webhooks_need_an_admin(api_client: ApiClient, role: Role, webhook: Any) -> None:
    """Anyone but an admin gets 403 for every webhook operation, without details."""
    person = await signed_in(api_client, role)
    operations = [one for one in OPERATIONS if one.name.startswith("webhook")]
    assert len(operations) == 10
    for operation in operations:
        path = operation.path.removeprefix("/api/v1")
        path = path.replace(f"{{{operation.path_parameter}}}", webhook["details"]["id"])
        answer = await person.call(operation.method, path, {"details": DETAILS})

        answer.refused(403, "not_permitted")
        assert webhook["details"]["url"] not in answer.text
