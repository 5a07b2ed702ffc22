"""Paths and responses for the tests of the client."""

from __future__ import annotations

from typing import Any

from prefactor_http.testing import Reply

PING = "/api/v1/ping"
INSTANCE: dict[str, Any] = {
    "type": "agent_instance",
    "id": "i1",
    "account_id": "a1",
    "agent_id": "ag1",
    "agent_version_id": "v1",
    "environment_id": "e1",
    "status": "pending",
    "inserted_at": "2026-04-13T00:46:31.218000Z",
    "updated_at": "2026-04-13T00:46:31.218000Z",
}
"""The details of a run, with only the required fields."""
SPAN: dict[str, Any] = {
    "type": "agent_span",
    "id": "s1",
    "agent_instance_id": "i1",
    "schema_name": "x",
    "status": "active",
}
"""The details of a span, with only the required fields."""


def error(status: int, **headers: str) -> Reply:
    """A refusal with headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply.error(status, "some_code", "Some message", headers=named)
