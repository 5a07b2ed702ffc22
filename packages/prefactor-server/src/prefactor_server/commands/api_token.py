"""The writes of API tokens."""

from __future__ import annotations

from typing import NamedTuple

from prefactor_server.commands.base import Decision, Done, Request
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.errors import NotFound
from prefactor_server.storage.base import Changes, Needs, Snapshot


class CreateToken(NamedTuple):
    """Store a token that was just made; its text is known to the caller alone."""

    request: Request
    token: ApiToken

    operation = "api_tokens.create"

    def needs(self, needs: Needs) -> None:
        """A token that may have the same id."""
        needs.tokens.add(self.token.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """The token, and who made it."""
        del snapshot
        entry = AuditEntry(
            account_id=self.token.account_id,
            at=self.request.now,
            actor=self.request.actor,
            action=self.operation,
            resource_id=self.token.id,
            detail=self.token.token_scope,
        )
        changes = Changes(inserted=(self.token,), audit=(entry,))
        return Decision(changes, Done(self.token.id, self.token))


class TouchToken(NamedTuple):
    """Note that a token was used; nobody waits for this."""

    request: Request
    id: str

    operation = "api_tokens.touch"

    def needs(self, needs: Needs) -> None:
        """The token."""
        needs.tokens.add(self.id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """The token with its last use."""
        token = snapshot.get(ApiToken, self.id)
        if token is None:
            raise NotFound(f"Token {self.id!r} not found")
        used = token._replace(last_used_at=self.request.now)
        return Decision(Changes(updated=(used,)), Done(token.id, used))
