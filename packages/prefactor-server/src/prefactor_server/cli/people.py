"""The commands of ``prefactor-server`` about people: invite, list, role, remove, link."""

from __future__ import annotations

import os
from typing import Final

import cyclopts

from prefactor_server.bootstrap import CLI_ACTOR
from prefactor_server.cli.flags import Database, Json
from prefactor_server.cli.output import Column, out, print_rows
from prefactor_server.cli.with_database import carry_out, run, settings_for, with_account
from prefactor_server.commands.base import Request
from prefactor_server.commands.people.admin_user import (
    ChangeRole,
    CreateSignInLink,
    RemoveAdminUser,
)
from prefactor_server.commands.people.admin_user_invite import CreateInvite
from prefactor_server.domain.account import Account
from prefactor_server.domain.errors import NotFound, SettingError
from prefactor_server.domain.listing import MAX_PAGE_SIZE, Listing, Sort
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.admin_user_invite import PREFIX as INVITE_PREFIX
from prefactor_server.domain.people.admin_user_invite import AdminUserInvite, is_email
from prefactor_server.domain.people.role import Role
from prefactor_server.domain.people.secret_text import SecretRef, hash_secret, make_secret
from prefactor_server.domain.people.sign_in_link import PREFIX as LINK_PREFIX
from prefactor_server.domain.people.sign_in_link import SignInLink, person_link_url
from prefactor_server.domain.pfid import PfidMaker
from prefactor_server.domain.times import format_time
from prefactor_server.storage.base import Storage
from prefactor_server.storage.clock import now_us

_PEOPLE_COLUMNS: Final = (
    Column("id", "id"),
    Column("email", "e-mail"),
    Column("role", "role"),
    Column("has_password", "password"),
    Column("last_signed_in_at", "last signed in", "never"),
    Column("inserted_at", "joined"),
)

admin_cli = cyclopts.App(
    name="admin",
    help="Invite, list and remove people, change their roles, and create sign-in links.",
)


@admin_cli.command
def invite(email: str, /, *, role: Role = "admin", database: Database = None) -> None:
    """Invite a person, and print the invitation's token. It cannot be shown again.

    Parameters
    ----------
    email
        Their address.
    role
        What they may do: viewer (look), member (also evaluate and terminate runs) or admin.
    """
    if not is_email(email):
        raise SettingError(
            f"{email!r} is not an address such as name@example.org, of at most 254 characters"
        )

    async def work(storage: Storage, account: Account) -> str:
        now = now_us()
        invite_id = _new_id(account)
        token = make_secret(INVITE_PREFIX, SecretRef(account.id, invite_id), os.urandom)
        row = AdminUserInvite(
            invite_id, account.id, email, hash_secret(token), now, "pending", now, role
        )
        await carry_out(storage, CreateInvite(_request(account, now), row))
        return token

    # Only the token, so that a script can use the output directly.
    out.print(run(with_account(settings_for(database), work)), markup=False)


@admin_cli.command(name="list")
def list_people(*, json: Json = False, database: Database = None) -> None:
    """List the people of the account."""

    async def work(storage: Storage, account: Account) -> list[AdminUser]:
        people: list[AdminUser] = []
        listing = Listing(sort=Sort("email"), page_size=MAX_PAGE_SIZE)
        while True:
            page = await storage.rows(AdminUser, account.id, listing)
            people += page.rows
            if page.next is None:
                return people
            listing = listing._replace(after=page.next)

    people = run(with_account(settings_for(database), work))
    print_rows(_PEOPLE_COLUMNS, map(_row, people), as_json=json)


@admin_cli.command(name="role")
def change_role(email: str, role: Role, *, database: Database = None) -> None:
    """Change a person's role. A running server applies it within token_cache_seconds.

    Parameters
    ----------
    email
        Their address, or their id as `admin list` shows it.
    role
        viewer, member or admin.
    """

    async def work(storage: Storage, account: Account) -> None:
        person = await _person(storage, account, email)
        await carry_out(storage, ChangeRole(_request(account, now_us()), person.id, role))

    run(with_account(settings_for(database), work))


@admin_cli.command
def remove(email: str, /, *, database: Database = None) -> None:
    """Remove a person from the account. Their sessions end within token_cache_seconds.

    Parameters
    ----------
    email
        Their address, or their id as `admin list` shows it.
    """

    async def work(storage: Storage, account: Account) -> None:
        person = await _person(storage, account, email)
        await carry_out(storage, RemoveAdminUser(_request(account, now_us()), person.id))

    run(with_account(settings_for(database), work))


@admin_cli.command
def link(email: str, /, *, url: str | None = None, database: Database = None) -> None:
    """Print a link to sign a person in once, within ten minutes, and to set a new password.

    Parameters
    ----------
    email
        Their address, or their id as `admin list` shows it.
    url
        The URL of the server. The default is PREFACTOR_PUBLIC_URL.
    """
    settings = settings_for(database)

    async def work(storage: Storage, account: Account) -> str:
        person, now = await _person(storage, account, email), now_us()
        link_id = _new_id(account)
        code = make_secret(LINK_PREFIX, SecretRef(account.id, link_id), os.urandom)
        row = SignInLink(link_id, account.id, person.id, None, hash_secret(code), now, None)
        await carry_out(storage, CreateSignInLink(_request(account, now), row))
        return code

    base = url or settings.public_url or f"http://{settings.host}:{settings.port}"
    out.print(person_link_url(base, run(with_account(settings, work))), markup=False)


async def _person(storage: Storage, account: Account, email_or_id: str) -> AdminUser:
    people = [
        person
        for person in await storage.admin_users_by_email(email_or_id)
        if person.account_id == account.id
    ]
    # The address may differ in case. An exact match comes first.
    people.sort(key=lambda person: person.email != email_or_id)
    found = people[0] if people else await storage.row(AdminUser, account.id, email_or_id)
    if found is None:
        raise NotFound(
            f"There is no person {email_or_id!r}: prefactor-server admin list shows all people"
        )
    return found


def _request(account: Account, now: int) -> Request:
    return Request(account.id, CLI_ACTOR, now)


def _new_id(account: Account) -> str:
    return PfidMaker(now_us, os.urandom).make(account.partition)


def _row(person: AdminUser) -> tuple[str | None, ...]:
    signed_in = person.last_signed_in_at
    return (
        person.id,
        person.email,
        person.role,
        "no" if person.password_hash is None else "yes",
        None if signed_in is None else format_time(signed_in),
        format_time(person.inserted_at),
    )
