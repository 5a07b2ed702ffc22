"""The reads of the audit log."""

from __future__ import annotations

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.audit import AuditRecord
from prefactor_server.domain.listing import Listing, Page
from prefactor_server.storage.base import Storage


class AuditQueries:
    """Reads the actions of operators, for callers who may see the whole account."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def page(self, principal: Principal, listing: Listing) -> Page[AuditRecord]:
        """Return a page of the log."""
        return await self._storage.rows(AuditRecord, principal.account_id, listing)
