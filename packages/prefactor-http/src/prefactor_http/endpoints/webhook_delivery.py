"""Deliveries of webhooks: their state, and sending one again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefactor_http._transport.encoding import path_segment
from prefactor_http.endpoints._base import Endpoint, to_details
from prefactor_http.models.webhook import WebhookDelivery
from prefactor_http.pages import Page, page_params

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prefactor_http._options import RequestOptions

PATH = "/api/v1/webhook_delivery"


class WebhookDeliveryClient(Endpoint):
    """`client.webhook_deliveries`."""

    async def list(
        self,
        *,
        webhook_id: str | None = None,
        agent_instance_id: str | None = None,
        status: str | None = None,
        event_type: str | None = None,
        sorting: str | None = None,
        offset: int | None = None,
        page_size: int | None = None,
        after: str | None = None,
        options: RequestOptions | None = None,
    ) -> Page[WebhookDelivery]:
        """One page of deliveries, the newest first by default.

        Args:
            webhook_id: Only deliveries to this webhook.
            agent_instance_id: Only events of this run.
            status: Only those that are `pending`, `delivered` or `failed`.
            event_type: Only events of this type.
            sorting: Field to sort by, with a leading `-` for descending order.
            offset: Rows to skip.
            page_size: Rows per page, 1 to 100.
            after: Cursor from `pagination.next_after` of the page before.
            options: Limits and headers of this call only.
        """
        filters = _filters(webhook_id, agent_instance_id, status, event_type)
        paging = page_params(sorting=sorting, offset=offset, page_size=page_size, after=after)
        return await self._page(PATH, filters | paging, WebhookDelivery, options)

    def iterate(
        self,
        *,
        webhook_id: str | None = None,
        agent_instance_id: str | None = None,
        status: str | None = None,
        event_type: str | None = None,
        sorting: str | None = None,
        page_size: int | None = None,
        options: RequestOptions | None = None,
    ) -> AsyncIterator[WebhookDelivery]:
        """All deliveries that `list` would show, page by page."""
        return self._walk(
            PATH,
            _filters(webhook_id, agent_instance_id, status, event_type),
            WebhookDelivery,
            sorting=sorting,
            page_size=page_size,
            options=options,
        )

    async def get(
        self, webhook_delivery_id: str, *, options: RequestOptions | None = None
    ) -> WebhookDelivery:
        """Read one delivery, with the body that is sent.

        Raises:
            PrefactorNotFoundError: There is no such delivery.
        """
        reply = await self._read(_path(webhook_delivery_id), None, options)
        return to_details(reply, WebhookDelivery, "webhook_deliveries.get")

    async def resend(
        self,
        webhook_delivery_id: str,
        idempotency_key: str | None = None,
        *,
        options: RequestOptions | None = None,
    ) -> WebhookDelivery:
        """Send a delivery again, in any state.

        Raises:
            PrefactorNotFoundError: There is no such delivery.
            PrefactorConflictError: Its webhook is disabled.
        """
        key = self._key(idempotency_key)
        path = f"{_path(webhook_delivery_id)}/resend"
        reply = await self._write("POST", path, {}, key, options)
        return to_details(reply, WebhookDelivery, "webhook_deliveries.resend")


def _filters(
    webhook_id: str | None, agent_instance_id: str | None, status: str | None, event: str | None
) -> dict[str, Any]:
    return {
        "webhook_id": webhook_id,
        "agent_instance_id": agent_instance_id,
        "status": status,
        "event_type": event,
    }


def _path(webhook_delivery_id: str) -> str:
    return f"{PATH}/{path_segment('webhook_delivery_id', webhook_delivery_id)}"
