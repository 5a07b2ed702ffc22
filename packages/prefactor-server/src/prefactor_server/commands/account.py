"""The writes of accounts."""

from __future__ import annotations

from typing import NamedTuple

from prefactor_server.commands.base import Decision, Done, Request, audit_entry
from prefactor_server.domain.account import Account
from prefactor_server.domain.errors import NotFound
from prefactor_server.storage.base import Changes, Needs, Snapshot


class UpdateAccount(NamedTuple):
    """Rename the caller's account."""

    request: Request
    name: str
    operation: str = "accounts.update"

    def needs(self, needs: Needs) -> None:
        """Add the account."""
        needs.account = True

    def decide(self, snapshot: Snapshot) -> Decision:
        """Rename the account."""
        found = snapshot.get(Account, self.request.account_id)
        if found is None:
            raise NotFound(f"Account {self.request.account_id!r} not found")
        account = found._replace(name=self.name, updated_at=self.request.now)
        entry = audit_entry(self.request, self.operation, account.id, account.name)
        return Decision(Changes(updated=(account,), audit=(entry,)), Done(account.id, account))
