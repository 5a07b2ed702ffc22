"""The audit log: its filters and its rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prefactor_http import AuditEntry
from prefactor_http.testing import Reply

if TYPE_CHECKING:
    from prefactor_http import PrefactorHttpClient
    from prefactor_http.testing import ScriptedServer

ENTRY: dict[str, Any] = {
    "type": "audit_entry",
    "id": "e",
    "account_id": "a",
    "at": "2026-01-01T00:00:00.000000Z",
    "actor": "cli",
    "action": "legal_holds.add",
    "resource_id": "run-1",
    "detail": None,
}


async def test_the_log_is_listed(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """Filters go into the query, rows come back as entries, page by page or one by one."""
    page = {"status": "success", "summaries": [ENTRY], "pagination": {}, "sorting": None}
    server.script(Reply(200, page), Reply(200, page))
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    (entry,) = await client.audit.list(actor="cli", since=moment, after="cursor", page_size=5)
    walked = [one async for one in client.audit.iterate(resource_id="run-1", before=moment)]
    assert isinstance(entry, AuditEntry)
    assert walked == [entry]
    assert (entry.action, entry.at, entry.detail) == ("legal_holds.add", moment, None)
    first, second = (dict(request.query) for request in server.requests)
    assert first == {
        "actor": "cli",
        "since": "2026-01-01T00:00:00+00:00",
        "pagination[after]": "cursor",
        "pagination[page_size]": "5",
    }
    assert (second["resource_id"], second["before"]) == ("run-1", "2026-01-01T00:00:00+00:00")
