"""Webhooks and their deliveries, as the client asks for them."""

from __future__ import annotations

import pytest

from prefactor_http import PrefactorHttpClient, PrefactorRequestError, WebhookForUpdate
from prefactor_http.testing import Reply, ScriptedServer

WEBHOOK = {
    "type": "webhook",
    "id": "w1",
    "url": "https://hooks.example.org/in",
    "events": ["run.failed"],
    "agent_ids": None,
    "status": "enabled",
}
DELIVERY = {"type": "webhook_delivery", "id": "d1", "status": "delivered", "body": {"type": "x"}}


async def test_webhooks_are_managed(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A webhook is created, changed, rotated and deleted, and reprs show no secret."""
    secret = {"secret": "whsec_abc", "details": WEBHOOK}
    page = {"summaries": [WEBHOOK], "pagination": None, "sorting": None}
    server.script(
        *(Reply(200, one) for one in (secret, page, page, {"details": WEBHOOK})),
        *(Reply(200, one) for one in ({"details": WEBHOOK}, secret, {"details": WEBHOOK})),
    )

    created = await client.webhooks.create(
        url="https://hooks.example.org/in", events=["run.failed"], purposes=("live",)
    )
    listed = await client.webhooks.list(status="enabled")
    walked = [one.id async for one in client.webhooks.iterate()]
    shown = await client.webhooks.get("w1")
    await client.webhooks.update("w1", WebhookForUpdate(status="disabled", agent_ids=None))
    rotated = await client.webhooks.rotate_secret("w1", overlap_hours=2)
    await client.webhooks.delete("w1", "key-1")

    assert (created.secret, rotated.secret) == ("whsec_abc", "whsec_abc")
    assert "whsec" not in repr(created)
    assert [one.id for one in listed] == walked == [shown.id] == ["w1"]
    create, *_, update, rotate, delete = server.requests
    assert create.json["details"] == {
        "url": "https://hooks.example.org/in",
        "events": ["run.failed"],
        "purposes": ["live"],
    }
    assert update.json["details"] == {"status": "disabled", "agent_ids": None}
    assert rotate.target == "/api/v1/webhook/w1/rotate_secret"
    assert rotate.json["details"] == {"overlap_hours": 2}
    assert (delete.method, delete.target) == ("DELETE", "/api/v1/webhook/w1")


async def test_deliveries_are_shown_and_resent(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """Testing a webhook returns the delivery; deliveries are listed, shown and resent."""
    page = {"summaries": [{**DELIVERY, "body": None}], "pagination": None, "sorting": None}
    details = {"details": DELIVERY}
    server.script(*(Reply(200, one) for one in (details, page, page, details, details)))

    tested = await client.webhooks.test("w1")
    listed = await client.webhook_deliveries.list(webhook_id="w1", status="failed")
    walked = [one.id async for one in client.webhook_deliveries.iterate(event_type="run.failed")]
    shown = await client.webhook_deliveries.get("d1")
    await client.webhook_deliveries.resend("d1")

    assert tested.status == "delivered"
    assert [one.id for one in listed] == walked == ["d1"]
    assert shown.body == {"type": "x"}
    targets = [one.target.partition("?")[0] for one in server.requests]
    assert targets == [
        "/api/v1/webhook/w1/test",
        *["/api/v1/webhook_delivery"] * 2,
        "/api/v1/webhook_delivery/d1",
        "/api/v1/webhook_delivery/d1/resend",
    ]


async def test_a_wrong_change_is_not_sent(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """An unknown status is refused before anything is sent."""
    with pytest.raises(PrefactorRequestError, match="status"):
        await client.webhooks.update("w1", {"status": "paused"})

    assert server.requests == []
