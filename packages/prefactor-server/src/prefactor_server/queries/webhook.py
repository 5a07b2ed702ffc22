"""The reads of webhooks and their deliveries."""

from __future__ import annotations

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Filter, Listing, Page
from prefactor_server.domain.runs.webhooks.delivery import WebhookDelivery
from prefactor_server.domain.runs.webhooks.webhook import Webhook, require_webhook
from prefactor_server.storage.base import Storage

_NOT_DELETED = Filter("deleted_at", "is null", None)


class WebhookQueries:
    """Reads webhooks, except deleted ones."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, principal: Principal, webhook_id: str) -> Webhook:
        """Return a webhook by its id.

        Raises:
            NotFound: no such webhook.
        """
        found = await self._storage.row(Webhook, principal.account_id, webhook_id)
        return require_webhook(found, webhook_id)

    async def page(self, principal: Principal, listing: Listing) -> Page[Webhook]:
        """Return a page of webhooks."""
        listing = listing._replace(filters=(*listing.filters, _NOT_DELETED))
        return await self._storage.rows(Webhook, principal.account_id, listing)

    async def delivery(self, principal: Principal, delivery_id: str) -> WebhookDelivery:
        """Return a delivery by its id.

        Raises:
            NotFound: no such delivery.
        """
        found = await self._storage.row(WebhookDelivery, principal.account_id, delivery_id)
        if found is None:
            raise NotFound(f"Webhook delivery {delivery_id!r} not found")
        return found

    async def deliveries(self, principal: Principal, listing: Listing) -> Page[WebhookDelivery]:
        """Return a page of deliveries."""
        return await self._storage.rows(WebhookDelivery, principal.account_id, listing)

    async def next_inserted_at(self, now: int) -> int:
        """Return now, or the next time that is later than that of every delivery."""
        return max(now, await self._storage.webhooks.last_inserted_at() + 1)
