"""A delivery: one event for one webhook, and the result of sending it.

    pending   2xx        → delivered
    pending   no 2xx     → pending           (later, see ``retry_delay_us``)
    pending   three days → failed
    any       resend     → pending

Events of one run are delivered to a webhook in the order in which they happened: while one is
pending, those after it wait.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, Literal, NamedTuple, TypeAlias

from prefactor_server.domain.runs.webhooks.webhook import FAILING, GIVE_UP_US, GONE, Webhook
from prefactor_server.domain.times import HOUR_US, SECOND_US

DeliveryStatus: TypeAlias = Literal["pending", "delivered", "failed"]

_FIRST_DELAY_US: Final = 5 * SECOND_US
MAX_DELAY_US: Final = HOUR_US
_DOUBLINGS: Final = 10
_GONE: Final = 410
# Statuses that concern the receiver as a whole rather than this delivery.
_RECEIVER_STATUSES: Final = frozenset({408, 425, 429})
_SERVER_ERROR: Final = 500
_OK: Final = range(200, 300)
MAX_ERROR: Final = 500


class WebhookDelivery(NamedTuple):
    """One event for one webhook. Every attempt sends the same ``body``.

    ``event_id`` is sent as ``webhook-id``. Each delivery has a later ``inserted_at`` than the one
    before, even if the clock stands still. A test has no run, so its ``agent_instance_id`` is
    empty.
    """

    id: str
    account_id: str
    webhook_id: str
    agent_instance_id: str
    event_id: str
    event_type: str
    inserted_at: int
    body: bytes
    status: DeliveryStatus
    attempts: int
    next_attempt_at: int
    expires_at: int
    last_attempt_at: int | None
    response_status: int | None
    error: str | None
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its id."""
        return ((self.id,),)

    def resend(self, now: int) -> WebhookDelivery:
        """Return the delivery as pending again, to be tried for another three days."""
        return self._replace(
            status="pending", next_attempt_at=now, expires_at=now + GIVE_UP_US, updated_at=now
        )

    def after(self, attempt: Attempt, jitter: float) -> WebhookDelivery:
        """Return the delivery with the result of an attempt. ``jitter`` is 0 to 1."""
        tried = self._replace(
            attempts=self.attempts + 1,
            last_attempt_at=attempt.at,
            response_status=attempt.response_status,
            error=None if attempt.error is None else attempt.error[:MAX_ERROR],
            updated_at=attempt.at,
        )
        if attempt.succeeded:
            return tried._replace(status="delivered")
        if attempt.at >= self.expires_at:
            return tried._replace(status="failed")
        delay = max(retry_delay_us(tried.attempts, jitter), attempt.retry_after_us)
        return tried._replace(next_attempt_at=min(attempt.at + delay, self.expires_at))


class Attempt(NamedTuple):
    """The result of sending a delivery once: a status, or an ``error`` without a response."""

    at: int
    response_status: int | None
    error: str | None
    retry_after_us: int = 0

    @property
    def succeeded(self) -> bool:
        """Whether the receiver answered with a 2xx status."""
        return self.response_status in _OK

    @property
    def receiver_fails(self) -> bool:
        """Whether the receiver fails as a whole, so that other deliveries would fail too."""
        status = self.response_status
        return status is None or status in _RECEIVER_STATUSES or status >= _SERVER_ERROR


def webhook_after(webhook: Webhook, attempt: Attempt, jitter: float) -> Webhook:
    """Return the webhook after an attempt: working, failing or disabled."""
    if attempt.succeeded:
        if webhook.failing_since is None:
            return webhook
        return webhook._replace(failures=0, failing_since=None, not_before=0)
    since = attempt.at if webhook.failing_since is None else webhook.failing_since
    failing = webhook._replace(failing_since=since)
    is_gone = attempt.response_status == _GONE
    if webhook.status == "enabled" and (is_gone or attempt.at - since >= GIVE_UP_US):
        reason = GONE if is_gone else FAILING
        return failing.disable(reason)._replace(updated_at=attempt.at)
    # Only the first failure of concurrent attempts counts.
    if not attempt.receiver_fails or attempt.at < webhook.not_before:
        return failing
    failures = webhook.failures + 1
    delay = max(retry_delay_us(failures, jitter), attempt.retry_after_us)
    return failing._replace(failures=failures, not_before=attempt.at + delay)


def retry_delay_us(attempts: int, jitter: float) -> int:
    """Return how long to wait after a number of failed attempts: 5 s, doubled up to an hour.

    ``jitter`` of 0 to 1 shortens that by up to a fifth, to spread out retries.
    """
    delay = min(_FIRST_DELAY_US << min(attempts - 1, _DOUBLINGS), MAX_DELAY_US)
    return int(delay * (1 - jitter / 5))


def event_id(run_id: str, event: str, occurrence: str) -> str:
    """Return the id of an event, the same each time the event is derived."""
    text = f"{run_id}\n{event}\n{occurrence}"
    return f"evt_{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


def delivery_id(webhook_id: str, event: str) -> str:
    """Return the id of the delivery of an event, given by its id, to a webhook."""
    text = f"{webhook_id}\n{event}"
    return f"dlv_{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


Jitter: TypeAlias = Callable[[], float]
"""Returns a number from 0 to 1."""


def new_delivery(
    webhook: Webhook,
    *,
    run_id: str,
    event_id: str,
    event_type: str,
    body: bytes,
    inserted_at: int,
    now: int,
) -> WebhookDelivery:
    """Return a new delivery of an event, due now."""
    return WebhookDelivery(
        id=delivery_id(webhook.id, event_id),
        account_id=webhook.account_id,
        webhook_id=webhook.id,
        agent_instance_id=run_id,
        event_id=event_id,
        event_type=event_type,
        inserted_at=inserted_at,
        body=body,
        status="pending",
        attempts=0,
        next_attempt_at=now,
        expires_at=now + GIVE_UP_US,
        last_attempt_at=None,
        response_status=None,
        error=None,
        updated_at=now,
    )
