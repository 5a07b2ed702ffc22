"""Deliveries of webhooks: list and show them, send one again, and send a test."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from prefactor_server.api.kernel.fields import NoFields
from prefactor_server.api.kernel.listing import FilterParameter, ListQuery
from prefactor_server.api.kernel.operation import (
    LIST_COST,
    TOKEN_BODY,
    Call,
    Example,
    Parameter,
    Prepared,
    RawOperation,
    Read,
    Write,
)
from prefactor_server.api.kernel.query import one_of
from prefactor_server.api.views.base import (
    Listed,
    Success,
    by_path_id,
    listed,
    show_optional_time,
    show_time,
    written,
)
from prefactor_server.commands.base import Refused
from prefactor_server.commands.webhook_delivery import RecordTest, ResendDelivery
from prefactor_server.domain.errors import (
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    Overloaded,
    TooLarge,
    Unavailable,
    ValidationFailed,
)
from prefactor_server.domain.listing import Sort
from prefactor_server.domain.runs.webhooks.delivery import (
    DeliveryStatus,
    WebhookDelivery,
    event_id,
    new_delivery,
)
from prefactor_server.domain.runs.webhooks.event import test_event
from prefactor_server.domain.runs.webhooks.webhook import EVENTS, TEST_EVENT


class DeliverySummary(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery in a list.

    ``event_id`` is the ``webhook-id`` that the receiver gets. ``agent_instance_id`` is null for a
    test. ``response_status`` and ``error`` are those of the last attempt. ``next_attempt_at`` is
    null if there will be no other attempt.
    """

    type: Literal["webhook_delivery"] = "webhook_delivery"
    id: str
    account_id: str
    webhook_id: str
    agent_instance_id: str | None
    event_id: str
    event_type: str
    status: DeliveryStatus
    attempts: int
    response_status: int | None
    error: str | None
    next_attempt_at: str | None
    last_attempt_at: str | None
    inserted_at: str
    updated_at: str


class DeliveryView(DeliverySummary, frozen=True, kw_only=True):
    """A single delivery, with its body."""

    body: msgspec.Raw


_STATUSES: Final = ("pending", "delivered", "failed")
_EVENTS: Final = (*EVENTS, TEST_EVENT)
_LIST: Final = ListQuery(
    filters=(
        FilterParameter(Parameter("webhook_id", "The webhook."), "webhook_id"),
        FilterParameter(Parameter("agent_instance_id", "The run."), "agent_instance_id"),
        FilterParameter(
            Parameter("status", "The status.", schema={"enum": list(_STATUSES)}),
            "status",
            one_of(*_STATUSES),
        ),
        FilterParameter(
            Parameter("event_type", "The event.", schema={"enum": list(_EVENTS)}),
            "event_type",
            one_of(*_EVENTS),
        ),
    ),
    sorts=("inserted_at",),
    default=Sort("inserted_at", descending=True),
)


async def _list(call: Call) -> Listed[DeliverySummary]:
    listing = _LIST.read(call.query)
    page = await call.services.reader.webhooks.deliveries(call.principal, listing)
    return listed(listing, page, [DeliverySummary(**_fields(one)) for one in page.rows])


async def _show(call: Call, delivery_id: str) -> Success[DeliveryView]:
    found = await call.services.reader.webhooks.delivery(call.principal, delivery_id)
    return Success(details=_view(found))


async def _prepare_resend(call: Call, body: NoFields) -> Prepared:
    del body
    found = await call.services.reader.webhooks.delivery(call.principal, call.path_id)
    command = ResendDelivery(call.request(), found.id, found.webhook_id)
    return Prepared(command, written(WebhookDelivery, _view))


async def _test(call: Call, document: bytes) -> Success[DeliveryView]:
    services = call.services
    webhook = await services.reader.webhooks.show(call.principal, call.path_id)
    delivery = new_delivery(
        webhook,
        run_id="",
        event_id=event_id(webhook.id, TEST_EVENT, call.new_id()),
        event_type=TEST_EVENT,
        body=test_event(webhook, call.now),
        inserted_at=await services.reader.webhooks.next_inserted_at(call.now),
        now=call.now,
    )
    attempt = await services.webhooks.send_test(webhook, delivery)
    # A test has only one attempt.
    attempted = delivery._replace(expires_at=call.now).after(attempt, 0)
    command = RecordTest(call.request(), attempted)
    (outcome,) = await services.writer.submit([command], len(document))
    if isinstance(outcome, Refused):
        raise outcome.refusal
    return Success(details=_view(attempted))


def _view(delivery: WebhookDelivery) -> DeliveryView:
    return DeliveryView(**_fields(delivery), body=msgspec.Raw(delivery.body))


def _fields(delivery: WebhookDelivery) -> dict[str, Any]:
    is_pending = delivery.status == "pending"
    return {
        "id": delivery.id,
        "account_id": delivery.account_id,
        "webhook_id": delivery.webhook_id,
        "agent_instance_id": delivery.agent_instance_id or None,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "response_status": delivery.response_status,
        "error": delivery.error,
        "next_attempt_at": show_time(delivery.next_attempt_at) if is_pending else None,
        "last_attempt_at": show_optional_time(delivery.last_attempt_at),
        "inserted_at": show_time(delivery.inserted_at),
        "updated_at": show_time(delivery.updated_at),
    }


_PATH: Final = "/api/v1/webhook_delivery"
_BY_ID: Final = f"{_PATH}/{{webhook_delivery_id}}"
_ONE: Final[dict[str, Any]] = {"access": "account", "right": "administer"}

ITEMS = (
    Read(
        **_ONE,
        name="webhook_deliveries.list",
        cost=LIST_COST,
        method="GET",
        path=_PATH,
        summary="List deliveries of webhooks",
        description="Newest first by default.",
        reply=Listed[DeliverySummary],
        refusals=(ValidationFailed,),
        parameters=_LIST.parameters(),
        answer=_list,
    ),
    Read(
        **_ONE,
        name="webhook_deliveries.show",
        method="GET",
        path=_BY_ID,
        summary="Show a delivery of a webhook",
        description="Includes the body that was or will be sent.",
        reply=Success[DeliveryView],
        refusals=(NotFound,),
        answer=by_path_id(_show),
    ),
    Write(
        **_ONE,
        name="webhook_deliveries.resend",
        method="POST",
        path=f"{_BY_ID}/resend",
        summary="Send a delivery again",
        description=(
            "Works in any status. The delivery keeps its webhook-id, and is retried for as long as "
            "a new delivery. Its webhook must be enabled."
        ),
        reply=Success[DeliveryView],
        refusals=(NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=NoFields,
        prepare=_prepare_resend,
        show=_show,
        examples=(Example("Once", {"idempotency_key": "key-of-mine"}),),
    ),
)
"""The operations that may be items of a bulk request."""

OTHERS = (
    RawOperation(
        **_ONE,
        name="webhooks.test",
        method="POST",
        path="/api/v1/webhook/{webhook_id}/test",
        summary="Send a test to a webhook",
        description=(
            "Sends an event webhook.test once, now, even to a disabled webhook, and returns the "
            "result."
        ),
        max_body_bytes=TOKEN_BODY,
        reply=Success[DeliveryView],
        refusals=(NotFound, TooLarge, Overloaded, Unavailable),
        answer=_test,
    ),
)
"""The operation that waits for another server, and is therefore never a bulk item."""
