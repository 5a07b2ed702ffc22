"""The audit log: the actions of operators."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from prefactor_http.models.base import ReplyModel


class AuditEntry(ReplyModel):
    """One action of an operator.

    `actor` is the id of a token or a person, or `cli` for the server's command line.
    """

    type: Literal["audit_entry"] = "audit_entry"
    id: str
    account_id: str | None = None
    at: datetime
    actor: str
    action: str
    resource_id: str
    detail: str | None = None
