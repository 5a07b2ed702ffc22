"""``prefactor-server token``: creates, lists and changes API tokens."""

from __future__ import annotations

import os
import secrets
from typing import Final, Literal

import cyclopts

from prefactor_server.bootstrap import CLI_ACTOR
from prefactor_server.cli.flags import Database, Json, WholeNumber
from prefactor_server.cli.output import Column, out, print_rows
from prefactor_server.cli.with_database import carry_out, run, settings_for, with_account
from prefactor_server.commands.api_token import ChangeToken, CreateToken
from prefactor_server.commands.base import Request
from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import (
    ApiToken,
    TokenMove,
    TokenScope,
    make_token,
    new_token,
    token_status,
)
from prefactor_server.domain.pfid import PfidMaker
from prefactor_server.domain.times import DAY_US, format_time
from prefactor_server.settings import Settings, check_range
from prefactor_server.storage.base import Storage
from prefactor_server.storage.clock import now_us

_MAX_TOKEN_DAYS: Final = 36_500
_TOKEN_COLUMNS: Final = (
    Column("id", "id"),
    Column("token_start", "starts with"),
    Column("token_scope", "scope"),
    Column("agent_id", "agent"),
    Column("environment_id", "environment"),
    Column("status", "status"),
    Column("expires_at", "expires", "never"),
    Column("last_used_at", "last used", "never"),
    Column("inserted_at", "created"),
)

token_cli = cyclopts.App(
    name="token", help="Create, list, suspend, activate and revoke API tokens."
)


@token_cli.command(name="create")
def token_create(
    *,
    scope: Literal["account", "agent_deployment"] = "account",
    agent: str | None = None,
    environment: str | None = None,
    days: WholeNumber | None = None,
    database: Database = None,
) -> None:
    """Create a token and print it. It cannot be shown again.

    Parameters
    ----------
    scope
        What the token may do: everything in the account, or record the runs of one agent.
    agent
        For an agent_deployment token: the agent's id or external identifier.
    environment
        For an agent_deployment token: the environment's id. Without it, the default environment.
    days
        How many days the token works, 1 to 36500. Without it, until it is revoked.
    """
    if days is not None:
        check_range("--days", days, 1, _MAX_TOKEN_DAYS)
    settings = settings_for(database)
    text = make_token(scope, secrets.token_bytes)
    run(_create_token(settings, text, scope=scope, agent=agent, environment=environment, days=days))
    # Only the token, so that a script can use the output directly.
    out.print(text)


@token_cli.command(name="list")
def token_list(
    *,
    json: Json = False,
    database: Database = None,
) -> None:
    """List the tokens. Only the first characters of each are stored."""
    tokens = run(_list_tokens(settings_for(database)))
    print_rows(_TOKEN_COLUMNS, map(_token_row, tokens), as_json=json)


@token_cli.command(name="suspend")
def token_suspend(token_id: str, /, *, database: Database = None) -> None:
    """Stop a token from working until it is activated again.

    Parameters
    ----------
    token_id
        Its id, as `token list` shows it.
    """
    run(_change_token(settings_for(database), token_id, "suspend"))


@token_cli.command(name="activate")
def token_activate(token_id: str, /, *, database: Database = None) -> None:
    """Make a suspended token work again.

    Parameters
    ----------
    token_id
        Its id, as `token list` shows it.
    """
    run(_change_token(settings_for(database), token_id, "activate"))


@token_cli.command(name="revoke")
def token_revoke(token_id: str, /, *, database: Database = None) -> None:
    """Stop a token from working permanently.

    Parameters
    ----------
    token_id
        Its id, as `token list` shows it.
    """
    run(_change_token(settings_for(database), token_id, "revoke"))


async def _create_token(
    settings: Settings,
    text: str,
    *,
    scope: TokenScope,
    agent: str | None,
    environment: str | None,
    days: int | None,
) -> None:
    ids, now = PfidMaker(now_us, os.urandom), now_us()

    async def create(storage: Storage, account: Account) -> None:
        expires_at = None if days is None else now + days * DAY_US
        token_id = ids.make(account.partition)
        command = CreateToken(
            Request(account.id, CLI_ACTOR, now),
            new_token(text, token_id, account.id, now, scope=scope, expires_at=expires_at),
            agent,
            environment,
            ids.make(account.partition),
        )
        await carry_out(storage, command)

    await with_account(settings, create)


async def _change_token(settings: Settings, token_id: str, move: TokenMove) -> None:
    async def change(storage: Storage, account: Account) -> None:
        request = Request(account.id, CLI_ACTOR, now_us())
        await carry_out(storage, ChangeToken(request, token_id, move))

    await with_account(settings, change)


async def _list_tokens(settings: Settings) -> list[ApiToken]:
    async def read(storage: Storage, account: Account) -> list[ApiToken]:
        return list(await storage.tokens(account.id))

    return await with_account(settings, read)


def _token_row(token: ApiToken) -> tuple[str | None, ...]:
    return (
        token.id,
        token.token_start or None,
        token.token_scope,
        token.agent_id,
        token.environment_id,
        token_status(token, now_us()),
        _shown(token.expires_at),
        _shown(token.last_used_at),
        _shown(token.inserted_at),
    )


def _shown(time: int | None) -> str | None:
    return None if time is None else format_time(time)
