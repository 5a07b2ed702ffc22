"""Webhooks and their outbox: reads of one database, across its accounts.

Rows are written as all others are, by commands and by the follower.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Protocol

from prefactor_server.domain.runs.webhooks.delivery import WebhookDelivery
from prefactor_server.domain.runs.webhooks.webhook import Webhook

WEBHOOK_COLUMNS: Final = ", ".join(f"t.{column}" for column in Webhook._fields)
DELIVERY_COLUMNS: Final = ", ".join(f"t.{column}" for column in WebhookDelivery._fields)


class WebhookStorage(Protocol):
    """The webhooks in one database.

    Raises from every method:
        Unavailable: the database cannot be reached, or cannot take writes now.
    """

    async def enabled(self, account_ids: Collection[str]) -> Sequence[Webhook]:
        """Return the enabled webhooks of accounts."""
        ...

    async def last_inserted_at(self) -> int:
        """Return the ``inserted_at`` of the last delivery; 0 when there is none."""
        ...

    async def ready(self, now: int, limit: int) -> Sequence[Webhook]:
        """Return enabled webhooks that something may be sent to now, those first that work."""
        ...

    async def due(
        self, account_id: str, webhook_id: str, now: int, limit: int
    ) -> Sequence[WebhookDelivery]:
        """Return what may be sent to a webhook now: of each run, the first that is pending."""
        ...

    async def pending(self) -> int:
        """Return how many deliveries are to be sent, up to ten thousand."""
        ...

    async def prune(self, before: int, limit: int) -> int:
        """Delete some deliveries that are older than a time, or of deleted webhooks; how many."""
        ...
