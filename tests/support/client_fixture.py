"""Paths and responses for the tests of the client."""

from __future__ import annotations

from prefactor_http.testing import Reply

PING = "/api/v1/ping"


def error(status: int, **headers: str) -> Reply:
    """A refusal with headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply.error(status, "some_code", "Some message", headers=named)
