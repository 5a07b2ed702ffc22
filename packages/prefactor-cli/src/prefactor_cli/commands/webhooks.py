"""``prefactor webhooks``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, TypeAlias

import cyclopts

from prefactor_cli.connection import run
from prefactor_cli.failure import FAILED, OK, USAGE, Failure
from prefactor_cli.filters import environment_id
from prefactor_cli.flags import FINITE, Connection, Json, Texts
from prefactor_cli.output import Printer, note, print_document, print_json
from prefactor_cli.table import Cell, Column
from prefactor_cli.text import printable
from prefactor_cli.times import ago
from prefactor_http import PrefactorHttpClient
from prefactor_http.models.webhook import Webhook, WebhookDelivery, WebhookWithSecret

app = cyclopts.App(name="webhooks", help="Create, test and change webhooks; list deliveries.")

WebhookId = Annotated[str, cyclopts.Parameter(name="WEBHOOK_ID")]
DeliveryId = Annotated[str, cyclopts.Parameter(name="DELIVERY_ID")]
Purpose: TypeAlias = Literal["live", "smoke_test", "eval"]
Event: TypeAlias = Literal[
    "run.finished",
    "run.failed",
    "run.terminated",
    "risk.exceeded",
    "cost.exceeded",
    "quality.recorded",
]
Events = Annotated[tuple[Event, ...], cyclopts.Parameter(negative_iterable=())]
Purposes = Annotated[
    tuple[Purpose, ...], cyclopts.Parameter(show_default=False, negative_iterable=())
]

_COLUMNS: Final = (
    Column("status"),
    Column("webhook"),
    Column("events"),
    Column("failing", right=True),
    Column("created", right=True),
    Column("url"),
)
_DELIVERY_COLUMNS: Final = (
    Column("status"),
    Column("delivery"),
    Column("event"),
    Column("run"),
    Column("attempts", right=True),
    Column("answer", right=True),
    Column("when", right=True),
    Column("error"),
)
_STYLES: Final = {
    "enabled": "green",
    "disabled": "dim",
    "delivered": "green",
    "pending": "yellow",
    "failed": "bold red",
}


@app.command(name="list")
def list_webhooks(*, json: Json = False, connection: Connection = None) -> None:
    """List webhooks, oldest first. Secrets are never listed.

    Parameters
    ----------
    json
        Print each webhook as a JSON object on one line, as the API shows it.
    """

    async def work(client: PrefactorHttpClient) -> None:
        found = [one async for one in client.webhooks.iterate(sorting="inserted_at")]
        if json:
            for webhook in found:
                print_json(webhook.raw)
        elif found:
            Printer().table(_COLUMNS).page([_row(webhook) for webhook in found])
        else:
            note("There are no webhooks.")

    run(connection, work)


@app.command(name="create")
def create_webhook(
    url: Annotated[str, cyclopts.Parameter(name="URL")],
    /,
    *,
    event: Events,
    agent: Texts = (),
    environment: Texts = (),
    purpose: Purposes = (),
    description: str | None = None,
    json: Json = False,
    connection: Connection = None,
) -> None:
    """Create a webhook and print its secret. It cannot be shown again.

    Parameters
    ----------
    url
        Where events are sent, such as https://hooks.example.org/prefactor.
    event
        An event to send. May be repeated.
    agent
        Only runs of this agent, by its id or external identifier. May be repeated.
    environment
        Only runs in this environment, by its id or name. May be repeated.
    purpose
        Only runs of this purpose. May be repeated.
    description
        A note on what the webhook is for.
    json
        Print the webhook with its secret as one JSON document.
    """

    async def work(client: PrefactorHttpClient) -> None:
        created = await client.webhooks.create(
            url=url,
            events=event,
            description=description,
            agent_ids=agent or None,
            environment_ids=[await environment_id(client, one) for one in environment] or None,
            purposes=purpose or None,
        )
        _print_secret(created, as_json=json)

    run(connection, work)


@app.command(name="test")
def send_test(
    webhook_id: WebhookId, /, *, json: Json = False, connection: Connection = None
) -> int:
    """Send one test event and print the receiver's answer. Exit with 1 if it failed.

    Parameters
    ----------
    webhook_id
        Its id, as `webhooks list` shows it.
    json
        Print the delivery as one JSON document.
    """

    async def work(client: PrefactorHttpClient) -> int:
        tested = await client.webhooks.test(webhook_id)
        if json:
            print_document(tested.raw)
        else:
            Printer().line(f"{tested.status}: {_answer(tested)}")
        return OK if tested.status == "delivered" else FAILED

    return run(connection, work)


@app.command(name="deliveries")
def list_deliveries(
    webhook_id: Annotated[str | None, cyclopts.Parameter(name="WEBHOOK_ID")] = None,
    /,
    *,
    status: Literal["pending", "delivered", "failed"] | None = None,
    event: Event | Literal["webhook.test"] | None = None,
    run_id: Annotated[str | None, cyclopts.Parameter(name="--run")] = None,
    limit: int = 20,
    json: Json = False,
    connection: Connection = None,
) -> None:
    """List deliveries, newest first, of one webhook or of all.

    Parameters
    ----------
    webhook_id
        Only deliveries to this webhook.
    status
        Only deliveries with this status.
    event
        Only deliveries of this event.
    run_id
        Only deliveries about this run, by its id.
    limit
        The most deliveries to list.
    json
        Print each delivery as a JSON object on one line, as the API shows it.
    """
    if limit < 1:
        message = f"--limit: must be 1 or more, got {limit}"
        raise Failure(message, USAGE)

    async def work(client: PrefactorHttpClient) -> None:
        found = await _first(
            client.webhook_deliveries.iterate(
                webhook_id=webhook_id, status=status, event_type=event, agent_instance_id=run_id
            ),
            limit + 1,
        )
        shown = found[:limit]
        if json:
            for delivery in shown:
                print_json(delivery.raw)
        elif shown:
            Printer().table(_DELIVERY_COLUMNS).page([_delivery_row(one) for one in shown])
        else:
            note("No delivery matches.")
        if len(found) > limit:
            note(f"Showing the newest {limit}. Raise --limit to see more.")

    run(connection, work)


@app.command(name="resend")
def resend_delivery(
    delivery_id: DeliveryId, /, *, json: Json = False, connection: Connection = None
) -> None:
    """Send a delivery again, whatever its status, with the same webhook-id.

    Parameters
    ----------
    delivery_id
        Its id, as `webhooks deliveries` shows it.
    json
        Print the delivery as one JSON document, as it is now.
    """

    async def work(client: PrefactorHttpClient) -> None:
        sent = await client.webhook_deliveries.resend(delivery_id)
        if json:
            print_document(sent.raw)
        else:
            Printer().line(f"{printable(sent.id)} is {sent.status}")

    run(connection, work)


@app.command(name="rotate")
def rotate_secret(
    webhook_id: WebhookId,
    /,
    *,
    overlap_hours: Annotated[float, FINITE] = 24,
    json: Json = False,
    connection: Connection = None,
) -> None:
    """Give a webhook a new secret and print it. It cannot be shown again.

    Parameters
    ----------
    webhook_id
        Its id, as `webhooks list` shows it.
    overlap_hours
        How many hours deliveries are also signed with the old secret, 0 to 168.
    json
        Print the webhook with its secret as one JSON document.
    """

    async def work(client: PrefactorHttpClient) -> None:
        rotated = await client.webhooks.rotate_secret(webhook_id, overlap_hours=overlap_hours)
        _print_secret(rotated, as_json=json)

    run(connection, work)


@app.command(name="enable")
def enable_webhook(
    webhook_id: WebhookId, /, *, json: Json = False, connection: Connection = None
) -> None:
    """Enable a webhook: new events are sent, and pending deliveries continue.

    Parameters
    ----------
    webhook_id
        Its id, as `webhooks list` shows it.
    json
        Print the webhook as one JSON document, as it is now.
    """
    _change(webhook_id, "enabled", connection, as_json=json)


@app.command(name="disable")
def disable_webhook(
    webhook_id: WebhookId, /, *, json: Json = False, connection: Connection = None
) -> None:
    """Disable a webhook. Events that occur while it is disabled are never sent.

    Parameters
    ----------
    webhook_id
        Its id, as `webhooks list` shows it.
    json
        Print the webhook as one JSON document, as it is now.
    """
    _change(webhook_id, "disabled", connection, as_json=json)


@app.command(name="delete")
def delete_webhook(webhook_id: WebhookId, /, *, connection: Connection = None) -> None:
    """Delete a webhook and its deliveries, including pending ones.

    Parameters
    ----------
    webhook_id
        Its id, as `webhooks list` shows it.
    """

    async def work(client: PrefactorHttpClient) -> None:
        await client.webhooks.delete(webhook_id)
        Printer().line(f"{printable(webhook_id)} is deleted")

    run(connection, work)


def _change(webhook_id: str, status: str, connection: Connection, *, as_json: bool) -> None:
    async def work(client: PrefactorHttpClient) -> None:
        changed = await client.webhooks.update(webhook_id, {"status": status})
        if as_json:
            print_document(changed.raw)
        else:
            Printer().line(f"{printable(changed.id)} is {changed.status}")

    run(connection, work)


def _print_secret(made: WebhookWithSecret, *, as_json: bool) -> None:
    if as_json:
        print_document({**made.raw, "secret": made.secret})
        return
    # Only the secret, so that a script can use the output directly.
    Printer().line(made.secret or "")
    note(f"Webhook {made.id}. Store its secret now: it is not shown again.")


async def _first(found: AsyncIterator[WebhookDelivery], limit: int) -> list[WebhookDelivery]:
    first: list[WebhookDelivery] = []
    async for one in found:
        first.append(one)
        if len(first) == limit:
            break
    return first


def _answer(delivery: WebhookDelivery) -> str:
    if delivery.error is not None:
        return printable(delivery.error)
    return f"the receiver answered {delivery.response_status}"


def _row(webhook: Webhook) -> list[Cell]:
    now, status = datetime.now(UTC), webhook.status or ""
    return [
        Cell(status, _STYLES.get(status, "")),
        Cell(printable(webhook.id)),
        Cell(",".join(webhook.events)),
        Cell(ago(webhook.failing_since, now) or "no"),
        Cell(ago(webhook.inserted_at, now), "dim"),
        Cell(printable(webhook.url or "")),
    ]


def _delivery_row(delivery: WebhookDelivery) -> list[Cell]:
    now, status = datetime.now(UTC), delivery.status or ""
    answered = delivery.response_status
    return [
        Cell(status, _STYLES.get(status, "")),
        Cell(printable(delivery.id)),
        Cell(delivery.event_type or ""),
        Cell(printable(delivery.agent_instance_id or "")),
        Cell(str(delivery.attempts)),
        Cell("" if answered is None else str(answered)),
        Cell(ago(delivery.inserted_at, now), "dim"),
        Cell(printable(delivery.error or "")),
    ]
