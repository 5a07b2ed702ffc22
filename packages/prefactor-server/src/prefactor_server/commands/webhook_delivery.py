"""The writes of deliveries: the result of an attempt, a test, and sending one again."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.domain.errors import InvalidAction, NotFound
from prefactor_server.domain.runs.webhooks.delivery import Attempt, WebhookDelivery, webhook_after
from prefactor_server.domain.runs.webhooks.webhook import Webhook, require_webhook
from prefactor_server.storage.base import Changes, Needs, Snapshot


class RecordAttempt(NamedTuple):
    """Store the result of an attempt, and disable a webhook that has failed for too long."""

    request: Request
    webhook_id: str
    id: str
    attempt: Attempt
    jitter: float
    operation: str = "webhook_deliveries.record"

    def needs(self, needs: Needs) -> None:
        """Add the delivery and its webhook."""
        needs.rows |= {(WebhookDelivery, self.id), (Webhook, self.webhook_id)}

    def decide(self, snapshot: Snapshot) -> Decision:
        """Store both after the attempt, with an audit entry if the webhook is disabled."""
        webhook = snapshot.get(Webhook, self.webhook_id)
        delivery = snapshot.get(WebhookDelivery, self.id)
        changes = Changes()
        # Meanwhile its run may have been deleted, or another replica may have sent it.
        if delivery is not None and delivery.status == "pending":
            changes = Changes(updated=(delivery.after(self.attempt, self.jitter),))
        if webhook is not None and webhook.deleted_at is None:
            changes = self._with_webhook(webhook, changes)
        return Decision(changes, Done(self.id))

    def _with_webhook(self, webhook: Webhook, changes: Changes) -> Changes:
        after = webhook_after(webhook, self.attempt, self.jitter)
        if after == webhook:
            return changes
        changes = replace(changes, updated=(*changes.updated, after))
        if after.status == webhook.status:
            return changes
        detail = f"{after.disabled_reason}: {after.url}"
        entry = audit_entry(self.request, "webhooks.disable", webhook.id, detail)
        return replace(changes, audit=(entry,))


class RecordTest(NamedTuple):
    """Store a test delivery that has been sent."""

    request: Request
    delivery: WebhookDelivery
    operation: str = "webhooks.test"

    def needs(self, needs: Needs) -> None:
        """Add the webhook, which may have been deleted."""
        needs.rows.add((Webhook, self.delivery.webhook_id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Store the delivery, and record who asked for it."""
        delivery = self.delivery
        webhook_id = delivery.webhook_id
        webhook = require_webhook(snapshot.get(Webhook, webhook_id), webhook_id)
        entry = audit_entry(self.request, self.operation, webhook.id, webhook.url)
        return Decision(Changes(inserted=(delivery,), audit=(entry,)), Done(delivery.id, delivery))


class ResendDelivery(NamedTuple):
    """Send a delivery again, in any status."""

    request: Request
    id: str
    webhook_id: str
    operation: str = "webhook_deliveries.resend"

    def needs(self, needs: Needs) -> None:
        """Add the delivery and its webhook."""
        needs.rows |= {(WebhookDelivery, self.id), (Webhook, self.webhook_id)}

    def decide(self, snapshot: Snapshot) -> Decision:
        """Store the delivery as due, and record who asked for it."""
        found = snapshot.get(WebhookDelivery, self.id)
        if found is None:
            raise NotFound(f"Webhook delivery {self.id!r} not found")
        webhook = require_webhook(snapshot.get(Webhook, found.webhook_id), found.webhook_id)
        if webhook.status == "disabled":
            raise InvalidAction(
                f"Webhook {webhook.id!r} is disabled: enable it first, with status enabled"
            )
        delivery = found.resend(self.request.now)
        entry = audit_entry(self.request, self.operation, delivery.id, delivery.event_type)
        return Decision(Changes(updated=(delivery,), audit=(entry,)), Done(delivery.id, delivery))
