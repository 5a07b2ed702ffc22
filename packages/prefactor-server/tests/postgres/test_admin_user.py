"""People and invitations in PostgreSQL: stored, and revoked by one of two servers."""

from postgres_database import PostgresDatabase, do, on_another_replica, submit
from rows import ACCOUNT, NOW, OTHER_ACCOUNT, request

from prefactor_server.commands.base import Refused
from prefactor_server.commands.people.admin_user_invite import CreateInvite, RevokeInvite
from prefactor_server.domain.errors import InvalidAction
from prefactor_server.domain.listing import Filter, Listing
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.admin_user_invite import AdminUserInvite
from prefactor_server.storage.base import Changes, Needs
from prefactor_server.storage.postgres.backend import PostgresStorage

INVITE = AdminUserInvite("i", ACCOUNT, "a@b", b"\0hash", NOW, "pending", NOW, "admin")


async def test_an_invitation_is_stored_and_revoked(storage: PostgresStorage) -> None:
    """An invitation reads back as written and as revoked, within its own account."""
    await do(storage, CreateInvite(request(), INVITE))

    assert await storage.row(AdminUserInvite, ACCOUNT, "i") == INVITE
    revoked = await do(storage, RevokeInvite(request(now=NOW + 1), "i"))

    assert revoked == INVITE._replace(status="revoked", updated_at=NOW + 1)
    page = await storage.rows(AdminUserInvite, ACCOUNT, Listing((Filter("email", "=", "a@b"),)))
    assert page.rows == [revoked]
    assert (await storage.rows(AdminUserInvite, OTHER_ACCOUNT, Listing())).rows == []


async def test_one_of_two_servers_revokes(
    database: PostgresDatabase, storage: PostgresStorage
) -> None:
    """The second of two revocations sees the first."""
    await do(storage, CreateInvite(request(), INVITE))
    meanwhile = on_another_replica(database, RevokeInvite(request(), "i"))

    (outcome,) = await submit(storage, RevokeInvite(request(), "i"), meanwhile=meanwhile)

    assert isinstance(outcome, Refused)
    assert isinstance(outcome.refusal, InvalidAction)


async def test_people_are_stored(storage: PostgresStorage) -> None:
    """A person is read as written."""
    user = AdminUser("u", ACCOUNT, "a@b", NOW, NOW, "admin")

    await storage.transact(
        {ACCOUNT: Needs()},
        lambda snapshots: snapshots[ACCOUNT].apply(Changes(inserted=(user,))),
    )

    assert await storage.row(AdminUser, ACCOUNT, "u") == user
    assert (await storage.rows(AdminUser, ACCOUNT, Listing())).rows == [user]
