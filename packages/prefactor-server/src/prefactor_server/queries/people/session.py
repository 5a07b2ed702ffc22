"""The reads of sessions."""

from __future__ import annotations

from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import ApiToken, Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Filter, Listing, Page
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.secret_text import SecretRef
from prefactor_server.domain.people.session import Session
from prefactor_server.domain.people.sign_in_link import SignInLink
from prefactor_server.storage.base import Storage


class SessionQueries:
    """Reads sessions, and the rows that sign-in needs."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, principal: Principal, session_id: str) -> Session:
        """Return a session that the caller may see.

        Raises:
            NotFound: no such session.
        """
        found = await self._storage.row(Session, principal.account_id, session_id)
        owner = visible_owner(principal)
        if found is None or owner not in (None, found.owner_id):
            raise NotFound(f"Session {session_id!r} not found")
        return found

    async def page(self, principal: Principal, listing: Listing) -> Page[Session]:
        """Return a page of the sessions that the caller may see."""
        owner = visible_owner(principal)
        if owner is not None:
            listing = listing._replace(filters=(*listing.filters, Filter("owner_id", "=", owner)))
        return await self._storage.rows(Session, principal.account_id, listing)

    async def stored(self, ref: SecretRef) -> Session | None:
        """Return the session that a cookie refers to. The caller must check its secret."""
        return await self._storage.row(Session, *ref)

    async def link(self, ref: SecretRef) -> SignInLink | None:
        """Return the link that a code refers to. The caller must check its secret."""
        return await self._storage.row(SignInLink, *ref)

    async def person(self, session: Session) -> AdminUser | None:
        """Return the person of a session, or None if they were removed."""
        return await self._storage.row(AdminUser, session.account_id, session.owner_id)

    async def token(self, session: Session) -> ApiToken | None:
        """Return the token that a session was started with, or None if it was deleted."""
        return await self._storage.row(ApiToken, session.account_id, session.owner_id)

    async def first_account(self) -> Account | None:
        """Return the oldest account, the default for signing in, or None."""
        accounts = await self._storage.accounts()
        return accounts[0] if accounts else None

    async def account(self, account_id: str) -> Account | None:
        """Return the account that a person signs in to."""
        return await self._storage.account(account_id)


def visible_owner(principal: Principal) -> str | None:
    """Return the owner whose sessions the caller may see. None means every owner."""
    return None if principal.role == "admin" else principal.actor
