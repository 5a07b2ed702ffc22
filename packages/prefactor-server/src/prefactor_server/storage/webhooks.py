"""Webhooks and their outbox: reads of one database, across its accounts.

Commands and the follower write their rows in batches.
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
        """Return the ``inserted_at`` of the last delivery, or 0 if there are none."""
        ...

    async def ready(self, now: int, limit: int) -> Sequence[Webhook]:
        """Return enabled webhooks with deliveries to send now, working ones first."""
        ...

    async def due(
        self, account_id: str, webhook_id: str, now: int, limit: int
    ) -> Sequence[WebhookDelivery]:
        """Return a webhook's deliveries to send now: the first pending one of each run."""
        ...

    async def pending(self) -> int:
        """Return the number of pending deliveries, up to ten thousand."""
        ...

    async def prune(self, before: int, limit: int) -> int:
        """Delete some old deliveries, or deliveries of deleted webhooks; return how many."""
        ...
