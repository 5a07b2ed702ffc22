"""The audit log: the actions of operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefactor_http.endpoints._arguments import as_time
from prefactor_http.endpoints._base import Endpoint
from prefactor_http.models.audit import AuditEntry
from prefactor_http.pages import Page, page_params

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from prefactor_http._options import RequestOptions

PATH = "/api/v1/audit"


class AuditClient(Endpoint):
    """`client.audit`."""

    async def list(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        resource_id: str | None = None,
        since: datetime | str | None = None,
        before: datetime | str | None = None,
        sorting: str | None = None,
        offset: int | None = None,
        page_size: int | None = None,
        after: str | None = None,
        options: RequestOptions | None = None,
    ) -> Page[AuditEntry]:
        """Return a page of the log, newest first by default.

        Args:
            actor: Only actions of this token or person, or of `cli`.
            action: Only this action, such as `api_tokens.revoke`.
            resource_id: Only actions on this object.
            since: Only at this time or later.
            before: Only before this time (exclusive).
            sorting: `at` for oldest first.
            offset: Rows to skip.
            page_size: Rows per page, 1 to 100.
            after: Cursor from `pagination.next_after` of the previous page.
            options: Limits and headers of this call only.
        """
        filters = _filters(actor, action, resource_id, since, before)
        paging = page_params(sorting=sorting, offset=offset, page_size=page_size, after=after)
        return await self._page(PATH, filters | paging, AuditEntry, options)

    def iterate(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        resource_id: str | None = None,
        since: datetime | str | None = None,
        before: datetime | str | None = None,
        sorting: str | None = None,
        page_size: int | None = None,
        options: RequestOptions | None = None,
    ) -> AsyncIterator[AuditEntry]:
        """Iterate over all entries that `list` returns."""
        filters = _filters(actor, action, resource_id, since, before)
        return self._walk(
            PATH, filters, AuditEntry, sorting=sorting, page_size=page_size, options=options
        )


def _filters(
    actor: str | None,
    action: str | None,
    resource_id: str | None,
    since: datetime | str | None,
    before: datetime | str | None,
) -> dict[str, Any]:
    return {
        "actor": actor,
        "action": action,
        "resource_id": resource_id,
        "since": as_time("since", since),
        "before": as_time("before", before),
    }
