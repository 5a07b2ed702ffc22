"""Webhook delivery: what is sent, in which order, and what a failing receiver causes."""

import asyncio
import time
from typing import Any

import pytest
from api_client import ApiClient
from webhook_receiver import Receiver, receiving

from patience import patience
from prefactor_server.follower.lease import Lease

HOUR = 3600
DAY = 24 * HOUR


async def _deliveries(api_client: ApiClient, **query: str) -> list[Any]:
    found = (await api_client.get("/webhook_delivery", query)).summaries
    return list(reversed(found))


async def test_a_finished_run_sends_a_signed_event(
    api_client: ApiClient, receiver: Receiver, webhook: Any
) -> None:
    """The event names the run and its outcome, and is signed with the secret."""
    run = await api_client.run("complete")
    await api_client.send_webhooks()

    (received,) = receiver.received
    assert received.is_signed_with(webhook["secret"])
    assert not received.is_signed_with("whsec_" + "A" * 44)
    assert received.headers["content-type"] == "application/json"
    assert received.event["type"] == "run.finished"
    told = received.event["data"]["run"]
    assert (told["id"], told["agent_id"], told["status"]) == (
        run["id"],
        run["agent_id"],
        "complete",
    )
    assert told["url"] == f"https://prefactor.example/#/run/{run['id']}"
    (delivery,) = await _deliveries(api_client)
    assert (delivery["status"], delivery["attempts"], delivery["response_status"]) == (
        "delivered",
        1,
        204,
    )
    assert delivery["event_id"] == received.id
    shown = (await api_client.get(f"/webhook_delivery/{delivery['id']}")).details
    assert shown["body"] == received.event


async def test_each_webhook_receives_its_own_events(
    api_client: ApiClient, receiver: Receiver, webhook: Any
) -> None:
    """Of two webhooks, each receives the events that it subscribed to, under its own secret."""
    async with receiving() as other:
        details = {"url": other.url, "events": ["run.failed"]}
        failures = (await api_client.post("/webhook", {"details": details})).body
        await api_client.run("failed")
        await api_client.run("complete")
        await api_client.send_webhooks()

    assert sorted(receiver.types) == ["run.failed", "run.finished", "run.finished"]
    assert all(one.is_signed_with(webhook["secret"]) for one in receiver.received)
    assert other.types == ["run.failed"]
    assert other.received[0].is_signed_with(failures["secret"])


@pytest.mark.parametrize("status", ["failed", "terminated"])
async def test_a_bad_end_is_sent_with_its_alert(
    api_client: ApiClient, receiver: Receiver, webhook: Any, status: str
) -> None:
    """A failed or terminated run sends its alert first, and then the event of its end."""
    del webhook
    run = await api_client.run(status)
    await api_client.send_webhooks()

    assert receiver.types == [f"run.{status}", "run.finished"]
    told = receiver.received[0].event["data"]
    assert told["alert"]["name"] == f"run.{status}"
    (alert,) = (await api_client.get("/alerts", {"agent_instance_id": run["id"]})).summaries
    assert told["alert"]["id"] == alert["id"]


async def test_each_recorded_quality_sends_an_event(
    api_client: ApiClient, receiver: Receiver, webhook: Any
) -> None:
    """Each recording sends an event with the names of the evaluations and no values."""
    del webhook
    run = await api_client.run()
    for name in ("accuracy", "tone"):
        body = {"name": name, "payload": {"secret": "1"}}
        await api_client.post(f"/agent_instance/{run['id']}/record_quality", body)
    await api_client.send_webhooks()

    assert receiver.types == ["quality.recorded"] * 2
    assert len({one.id for one in receiver.received}) == 2
    assert receiver.received[-1].event["data"]["quality"] == {"names": ["accuracy", "tone"]}


@pytest.mark.parametrize(
    ("field", "matching"),
    [
        ("agent_ids", "agent-1"),
        ("environment_ids", None),
        ("purposes", "live"),
        ("events", "run.finished"),
    ],
)
async def test_only_matching_events_are_sent(
    api_client: ApiClient, receiver: Receiver, field: str, matching: str | None
) -> None:
    """Runs of another agent, environment or purpose, and other events, are not sent."""
    other = (await api_client.post("/environment", {"details": {"name": "Other"}})).details["id"]
    run = await api_client.run("pending")
    await api_client.follow()
    details = {"url": receiver.url, "events": ["run.finished"]}
    details[field] = [matching or run["environment_id"]]
    assert (await api_client.post("/webhook", {"details": details})).status == 200
    await api_client.run(
        "complete", agent_id="agent-2", environment_id=other, purpose="eval", id="other"
    )
    told = await api_client.run("failed")
    await api_client.send_webhooks()

    ids = [one.event["data"]["run"]["id"] for one in receiver.received]
    assert ids == [told["id"]] if field != "events" else ["other", told["id"]]


async def test_events_of_a_run_stay_in_order(
    api_client: ApiClient, receiver: Receiver, webhook: Any
) -> None:
    """An undelivered event delays the later ones of its run, but not those of others."""
    del webhook
    receiver.statuses = [400]
    stuck = await api_client.run("failed")
    await api_client.send_webhooks()
    await api_client.run("complete")
    await api_client.send_webhooks()
    assert receiver.types == ["run.failed", "run.finished"]
    first, second, _ = await _deliveries(api_client)
    assert (first["status"], second["status"], second["attempts"]) == ("pending", "pending", 0)

    api_client.clock.leap(seconds=10)
    await api_client.send_webhooks()
    of_stuck = [
        one.event["type"]
        for one in receiver.received
        if one.event["data"]["run"]["id"] == stuck["id"]
    ]
    assert of_stuck == ["run.failed", "run.failed", "run.finished"]


async def test_a_retry_is_the_same_message(
    api_client: ApiClient, receiver: Receiver, webhook: Any
) -> None:
    """A retry has the same id and body, and a signature with its own time."""
    receiver.statuses = [500]
    await api_client.run("complete")
    await api_client.send_webhooks()
    (delivery,) = await _deliveries(api_client)
    assert delivery["status"] == "pending"
    assert delivery["error"] == "the receiver answered 500"
    assert delivery["next_attempt_at"] > delivery["last_attempt_at"]
    await api_client.send_webhooks()
    assert len(receiver.received) == 1

    api_client.clock.leap(seconds=10)
    await api_client.send_webhooks()
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert second.is_signed_with(webhook["secret"])
    assert (await _deliveries(api_client))[0]["attempts"] == 2


async def test_a_receiver_that_is_down_for_long_is_probed(
    api_client: ApiClient, receiver: Receiver, webhook: Any
) -> None:
    """A failing receiver gets one delivery at a time, and all of them once it works."""
    receiver.status = 503
    for _ in range(8):
        await api_client.run("complete")
    await api_client.send_webhooks()
    # The requests that were in flight at the first failure.
    before = len(receiver.received)
    assert before <= 4
    shown = (await api_client.get(f"/webhook/{webhook['details']['id']}")).details
    assert shown["failing_since"] is not None
    assert shown["retry_at"] is not None
    for _ in range(3):
        api_client.clock.leap(seconds=2 * HOUR)
        await api_client.send_webhooks()
    assert len(receiver.received) == before + 3

    receiver.status = 200
    api_client.clock.leap(seconds=2 * HOUR)
    await api_client.send_webhooks()
    delivered = await _deliveries(api_client, status="delivered")
    assert len(delivered) == 8
    shown = (await api_client.get(f"/webhook/{webhook['details']['id']}")).details
    assert (shown["failing_since"], shown["retry_at"]) == (None, None)


async def test_a_webhook_that_fails_for_three_days_is_disabled(
    api_client: ApiClient, receiver: Receiver, webhook: Any
) -> None:
    """After three days without a delivery a webhook is disabled, with an audit entry."""
    receiver.status = 500
    await api_client.run("complete")
    await api_client.send_webhooks()
    for _ in range(2):
        api_client.clock.leap(seconds=DAY)
        await api_client.send_webhooks()
    path = f"/webhook/{webhook['details']['id']}"
    assert (await api_client.get(path)).details["status"] == "enabled"
    api_client.clock.leap(seconds=DAY)
    await api_client.send_webhooks()

    shown = (await api_client.get(path)).details
    assert (shown["status"], shown["disabled_reason"]) == (
        "disabled",
        "nothing was delivered for three days",
    )
    (line,) = (await api_client.get("/audit", {"action": "webhooks.disable"})).summaries
    assert (line["actor"], line["resource_id"]) == ("server", shown["id"])
    (delivery,) = await _deliveries(api_client)
    assert (delivery["status"], delivery["next_attempt_at"]) == ("failed", None)
    await api_client.run("complete")
    await api_client.send_webhooks()
    assert len(receiver.received) == 4

    resend = f"/webhook_delivery/{delivery['id']}/resend"
    (await api_client.post(resend)).refused(409, "invalid_action")
    await api_client.call("PUT", path, {"details": {"status": "enabled"}})
    receiver.status = 200
    assert (await api_client.post(resend)).details["status"] == "pending"
    await api_client.send_webhooks()
    (again,) = await _deliveries(api_client)
    assert (again["status"], again["attempts"]) == ("delivered", 5)
    assert receiver.received[-1].id == receiver.received[0].id


async def test_a_410_disables_a_webhook(
    api_client: ApiClient, receiver: Receiver, webhook: Any
) -> None:
    """A 410 answer disables a webhook at once."""
    receiver.status = 410
    await api_client.run("complete")
    await api_client.send_webhooks()

    shown = (await api_client.get(f"/webhook/{webhook['details']['id']}")).details
    assert (shown["status"], shown["disabled_reason"]) == (
        "disabled",
        "the receiver answered 410 Gone",
    )


async def test_events_while_it_was_disabled_are_not_sent(
    api_client: ApiClient, receiver: Receiver, webhook: Any
) -> None:
    """A webhook receives only what happens while it is enabled, even if processed later."""
    path = f"/webhook/{webhook['details']['id']}"
    await api_client.call("PUT", path, {"details": {"status": "disabled"}})
    await api_client.run("complete")
    # The feed uses the database's clock, and this server its own.
    api_client.clock.now = time.time_ns() // 1000
    await api_client.call("PUT", path, {"details": {"status": "enabled"}})
    await api_client.send_webhooks()

    assert receiver.received == []


async def test_many_events_are_sent_a_few_at_a_time(
    api_client: ApiClient, receiver: Receiver, webhook: Any
) -> None:
    """Each event of a burst is delivered once, with few requests in flight at a time."""
    del webhook
    items = [
        {"_type": "agent_instances/register", "idempotency_key": f"register-{n}", "id": f"r{n}",
         "agent_id": "agent-1"}
        for n in range(200)
    ]  # fmt: skip
    for verb in ("start", "finish"):
        items += [
            {
                "_type": f"agent_instances/{verb}",
                "idempotency_key": f"{verb}-{n:06}",
                "agent_instance_id": f"r{n}",
                **({"status": "complete"} if verb == "finish" else {}),
            }
            for n in range(200)
        ]
    for start in range(0, len(items), 100):
        answer = await api_client.post("/bulk", {"items": items[start : start + 100]})
        assert answer.status == 200, answer.text
    await api_client.send_webhooks()

    told = [one.event["data"]["run"]["id"] for one in receiver.received]
    assert sorted(told) == sorted(f"r{n}" for n in range(200))
    assert receiver.most_at_once <= 4


@pytest.mark.parametrize("stops", ["closing", "without its lease"])
async def test_a_sender_that_stops_begins_no_delivery(
    api_client: ApiClient, receiver: Receiver, webhook: Any, stops: str
) -> None:
    """A sender that is closed, or whose lease has expired, only finishes what it is sending."""
    del webhook
    receiver.answers = asyncio.Event()
    for _ in range(8):
        await api_client.run("complete")
    await api_client.follow()
    sender = api_client.webhook_sender(
        Lease(api_client.storage.feed, "api_client", api_client.clock, name="webhooks")
    )
    await sender.turn()
    async with asyncio.timeout(patience(30)):
        while len(receiver.received) < 4:  # noqa: ASYNC110 - the next may come at any time
            await asyncio.sleep(0.01)

    if stops == "closing":
        stopped = asyncio.create_task(sender.close())
        await asyncio.sleep(0)
    else:
        api_client.clock.leap(seconds=HOUR)
        stopped = asyncio.create_task(sender.idle())
    receiver.answers.set()
    await stopped

    assert len(receiver.received) == 4
    assert [one["status"] for one in await _deliveries(api_client)].count("delivered") == 4
