"""The writes of webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from prefactor_server.commands.agent import find_agent
from prefactor_server.commands.base import Decision, Done, Request, audit_entry, time_of_change
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.errors import InvalidAction, invalid
from prefactor_server.domain.runs.webhooks.webhook import (
    MAX_WEBHOOKS,
    Webhook,
    WebhookStatus,
    list_document,
    require_webhook,
)
from prefactor_server.storage.base import Changes, Needs, Snapshot

_LIMIT: Final = "webhooks"


class Scope(NamedTuple):
    """The agents (by id or external identifier) and environments of a webhook.

    None leaves a filter unchanged, and an empty one matches everything.
    """

    agents: Sequence[str] | None = None
    environments: Sequence[str] | None = None

    def needs(self, needs: Needs) -> None:
        """Add the agents and environments."""
        needs.agents.update(self.agents or ())
        needs.environments.update(self.environments or ())

    def apply(self, webhook: Webhook, snapshot: Snapshot) -> Webhook:
        """Return the webhook with these filters.

        Raises:
            ValidationFailed: the account lacks one of the agents or environments.
        """
        if self.agents is not None:
            ids = [_agent_id(snapshot, ref) for ref in self.agents]
            webhook = webhook._replace(agent_ids=list_document(ids) if ids else None)
        if self.environments is not None:
            for one in self.environments:
                if snapshot.get(Environment, one) is None:
                    raise invalid(
                        "environment_ids", f"{one!r} is not an environment of this account"
                    )
            listed = list_document(self.environments) if self.environments else None
            webhook = webhook._replace(environment_ids=listed)
        return webhook


class CreateWebhook(NamedTuple):
    """Store a webhook, unless the account has the maximum number of them."""

    request: Request
    webhook: Webhook
    scope: Scope
    operation: str = "webhooks.create"

    def needs(self, needs: Needs) -> None:
        """Add the agents and environments that its filters name, and the number of webhooks."""
        self.scope.needs(needs)
        needs.counts.add((_LIMIT, self.webhook.account_id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Store the webhook, and record who created it."""
        account_id = self.webhook.account_id
        if snapshot.is_full(_LIMIT, account_id, MAX_WEBHOOKS):
            raise InvalidAction(
                f"The account has {MAX_WEBHOOKS} webhooks, the most that it may have: delete one, "
                "or subscribe one to more events"
            )
        webhook = self.scope.apply(self.webhook, snapshot)
        entry = audit_entry(self.request, self.operation, webhook.id, webhook.url)
        counted = ((_LIMIT, account_id, 1),)
        changes = Changes(inserted=(webhook,), audit=(entry,), counted=counted)
        return Decision(changes, Done(webhook.id, webhook))


class UpdateWebhook(NamedTuple):
    """Change some fields of a webhook, its filters and its status.

    Nothing changes if it was updated after ``previous_updated_at``.
    """

    request: Request
    id: str
    fields: Mapping[str, Any]
    scope: Scope
    status: WebhookStatus | None
    previous_updated_at: int | None = None
    operation: str = "webhooks.update"

    def needs(self, needs: Needs) -> None:
        """Add the webhook, and the agents and environments that its filters name."""
        needs.rows.add((Webhook, self.id))
        self.scope.needs(needs)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Store the changed webhook, and record who changed it."""
        now = self.request.now
        found = require_webhook(snapshot.get(Webhook, self.id), self.id)
        at = time_of_change("webhook", self.request, found.updated_at, self.previous_updated_at)
        webhook = self.scope.apply(found._replace(**self.fields, updated_at=at), snapshot)
        if self.status == "enabled":
            webhook = webhook.enable(now)
        elif self.status == "disabled":
            webhook = webhook.disable(None)
        if webhook.url != found.url:
            # A new receiver starts without the failures of the previous one.
            webhook = webhook._replace(failures=0, failing_since=None, not_before=0)
        return _changed(self.request, self.operation, webhook)


class RotateSecret(NamedTuple):
    """Give a webhook a new, encrypted secret. The previous one also signs for ``overlap_us``."""

    request: Request
    id: str
    secret: bytes
    overlap_us: int
    operation: str = "webhooks.rotate_secret"

    def needs(self, needs: Needs) -> None:
        """Add the webhook."""
        needs.rows.add((Webhook, self.id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Store the webhook with its new secret, and record who asked for it."""
        found = require_webhook(snapshot.get(Webhook, self.id), self.id)
        webhook = found.rotate(self.secret, self.request.now, self.overlap_us)
        return _changed(self.request, self.operation, webhook)


class DeleteWebhook(NamedTuple):
    """Delete a webhook. Its deliveries are deleted in the background."""

    request: Request
    id: str
    operation: str = "webhooks.delete"

    def needs(self, needs: Needs) -> None:
        """Add the webhook."""
        needs.rows.add((Webhook, self.id))

    def decide(self, snapshot: Snapshot) -> Decision:
        """Mark the webhook as deleted, and record who did it."""
        found = require_webhook(snapshot.get(Webhook, self.id), self.id)
        webhook = found.delete(self.request.now)
        counted = ((_LIMIT, webhook.account_id, -1),)
        return _changed(self.request, self.operation, webhook, counted)


def _changed(
    request: Request,
    operation: str,
    webhook: Webhook,
    counted: Sequence[tuple[str, str, int]] = (),
) -> Decision:
    entry = audit_entry(request, operation, webhook.id, webhook.url)
    changes = Changes(updated=(webhook,), audit=(entry,), counted=counted)
    return Decision(changes, Done(webhook.id, webhook))


def _agent_id(snapshot: Snapshot, ref: str) -> str:
    agent = find_agent(snapshot, ref)
    if agent is None:
        raise invalid("agent_ids", f"{ref!r} is not an agent of this account")
    return agent.id
